"""Secrets generated once by the launcher: files that only their owner can read."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from ispvm.supervisor.account import Account


def ensure_secret(
    path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(32), *, mode: int = 0o600
) -> str:
    """The secret in the file, generated at first use. Concurrent launchers get the same value."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        write_private(draft, make() + "\n", mode=mode)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # created concurrently by another launcher: use its value
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()


def write_private(
    path: Path, text: str, *, mode: int = 0o600, account: Account | None = None
) -> None:
    """Create or replace a file that is never readable by others, not even while it is written."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        if account:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)


def ensure_master_key(path: Path) -> Path:
    """A key-encryption key (the vault's, or the signer's): 32 random bytes in hex, read-only even for its owner."""
    ensure_secret(path, lambda: secrets.token_hex(32), mode=0o400)
    return path
