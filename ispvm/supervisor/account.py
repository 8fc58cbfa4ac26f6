"""The unprivileged account of the embedded servers when the launcher runs as root.

PostgreSQL refuses to run as root and Valkey should not. An existing account is used;
none is created, and permissions outside the data folder are not changed.
"""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ispvm.supervisor.errors import LaunchError

PREFERRED = ("ispvm", "postgres", "nobody")


class ProcessIdentity(TypedDict, total=False):
    """The arguments of subprocess.Popen that make a child run as another account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """An account to drop to: never root."""

    name: str
    uid: int
    gid: int

    def identity(self) -> ProcessIdentity:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can enter the folder, tested as that account so that ACLs count."""
        command = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)]
        result = subprocess.run(command, check=False, cwd="/", **self.identity())
        return result.returncode == 0


def identity_of(account: Account | None) -> ProcessIdentity:
    return account.identity() if account else {}


def server_account(owner_of: Path | None = None) -> Account | None:
    """The account for embedded servers; None for the current one.

    The owner of existing data takes precedence over ``PREFERRED``.
    Raises LaunchError if the current user has no name (PostgreSQL requires one).
    """
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise LaunchError(
                f"User id {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL needs; "
                "add one, or set DATABASE_URL and REDIS_URL."
            ) from None
        return None
    if owner_of is not None and owner_of.exists():
        uid = owner_of.stat().st_uid
        if uid != 0:
            return named_account(uid)
    for name in PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise LaunchError(
        "PostgreSQL does not run as root, and none of the accounts "
        f"{', '.join(PREFERRED)} exists here; add one, or set DATABASE_URL and REDIS_URL."
    )


def named_account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise LaunchError(
            f"The data folder belongs to user id {uid}, which has no entry in /etc/passwd."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
