"""The data folder of the launcher, and a second one where root needs it."""

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ispvm.supervisor.account import Account, server_account
from ispvm.supervisor.errors import LaunchError

PROJECT = Path(__file__).resolve().parents[2]
# Marks data folders of the launcher: --reset removes no other folder.
MARKER = "ispvm-data-folder"
DEMO_LOCK = "demo.lock"


def home_folder() -> Path:
    """ISPVM_HOME, or `.ispvm` in the project."""
    return Path(os.environ.get("ISPVM_HOME") or PROJECT / ".ispvm").absolute()


@dataclass(frozen=True)
class Home:
    """The data folder: secrets, logs, and data of the embedded servers.

    `server_data` is inside it unless the launcher is root and the unprivileged account
    cannot enter it (a project below /root): then it is a folder in /var/lib or /tmp.
    """

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def prepare(self) -> None:
        """Create the folders. Idempotent."""
        # As root, the servers' account may traverse the folder to its own data, but not list it.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        if not self.root.exists():
            self.root.mkdir(parents=True, mode=mode)
            self.root.chmod(mode)
        # The tests may have created it: their data folders are inside this one.
        if all(entry.name.startswith("test") for entry in self.root.iterdir()):
            (self.root / MARKER).touch()
        for folder in (self.secrets, self.logs):
            folder.mkdir(exist_ok=True, mode=0o700)

    @cached_property
    def server_data(self) -> Path:
        """The folder that holds `postgres/`, `valkey/` and copied programs."""
        if os.geteuid() != 0:
            return self.root
        account = server_account()
        if account is None or account.can_enter(self.root):
            return self.root
        return self._folder_outside_home(account)

    def _folder_outside_home(self, account: Account) -> Path:
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        for parent in (Path("/var/lib"), Path(tempfile.gettempdir())):
            folder = parent / f"ispvm-{digest}"
            try:
                folder.mkdir(mode=0o711, exist_ok=True)
            except OSError:
                continue
            status = folder.lstat()
            # Other users can create files in /tmp: only a real folder owned by us is used.
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            folder.chmod(0o711)
            if account.can_enter(folder):
                (folder / MARKER).touch()
                return folder
        raise LaunchError(
            f"The account {account.name} cannot access {self.root} or /var/lib; "
            "set ISPVM_HOME to a folder that it can access."
        )

    def server_folder(self, name: str) -> tuple[Path, Account | None]:
        """The private folder of one embedded server and the account that owns it."""
        folder = self.server_data / name
        account = server_account(owner_of=folder)
        if not folder.exists():
            folder.mkdir(mode=0o700)
            if account:
                os.chown(folder, account.uid, account.gid)
        return folder, account

    def erase(self) -> list[Path]:
        """Remove all data except that of the tests; returns the removed paths.

        Raises LaunchError for a folder that the launcher did not create.
        """
        folders = [f for f in {self.root, self.server_data} if f.exists() and any(f.iterdir())]
        for folder in folders:
            if not (folder / MARKER).exists():
                raise LaunchError(
                    f"{folder} was not created by this launcher; nothing was removed."
                )
        removed = []
        for folder in folders:
            for entry in folder.iterdir():
                # A lock that is held is lost if its file is replaced.
                if entry.name.startswith((MARKER, DEMO_LOCK, "services.", "test")):
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
                removed.append(entry)
        return removed
