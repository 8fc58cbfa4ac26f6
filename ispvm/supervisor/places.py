"""Where the launcher keeps things: one data folder, and a second one only where root makes it necessary."""

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
# Written into a data folder on its first use: --reset removes nothing that lacks it.
MARKER = "ispvm-data-folder"
DEMO_LOCK = "demo.lock"


def home_folder() -> Path:
    """ISPVM_HOME, or `.ispvm` in the project."""
    return Path(os.environ.get("ISPVM_HOME") or PROJECT / ".ispvm").absolute()


@dataclass(frozen=True)
class Home:
    """One data folder: secrets, logs, and the servers' data.

    `server_data` is inside it unless the launcher is root and the unprivileged account
    cannot get in (a project below /root): then a folder in /var/lib or /tmp stands in.
    """

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def prepare(self) -> None:
        """Make the folder. Idempotent."""
        # Root's folder lets the servers' account pass through to its own part, and see nothing else.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        if not self.root.exists():
            self.root.mkdir(parents=True, mode=mode)
            self.root.chmod(mode)
        # The tests' data may have come first; their folder is inside this one.
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
        return self._folder_elsewhere(account)

    def _folder_elsewhere(self, account: Account) -> Path:
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        for parent in (Path("/var/lib"), Path(tempfile.gettempdir())):
            folder = parent / f"ispvm-{digest}"
            try:
                folder.mkdir(mode=0o711, exist_ok=True)
            except OSError:
                continue
            found = folder.lstat()
            # Anyone may create names in /tmp: only a real folder of ours is used.
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            folder.chmod(0o711)
            if account.can_enter(folder):
                (folder / MARKER).touch()
                return folder
        raise LaunchError(
            f"The account {account.name} cannot reach {self.root} nor /var/lib; "
            "choose a data folder it can reach with ISPVM_HOME."
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
        """Remove all data except the tests'; answers what was removed.

        Raises LaunchError for a folder that the launcher did not make.
        """
        folders = [f for f in {self.root, self.server_data} if f.exists() and any(f.iterdir())]
        for folder in folders:
            if not (folder / MARKER).exists():
                raise LaunchError(f"{folder} was not made by this launcher; it is left as it is.")
        removed = []
        for folder in folders:
            for entry in folder.iterdir():
                # Locks that are held just now lose their meaning when their file is replaced.
                if entry.name.startswith((MARKER, DEMO_LOCK, "services.", "test")):
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
                removed.append(entry)
        return removed
