"""What the launcher says when it cannot go on."""

import errno
from pathlib import Path


class LaunchError(Exception):
    """One sentence for the operator; the launcher prints it, without a traceback, and exits with 2."""


def explain_os_error(error: OSError, place: Path) -> str:
    """The sentence for an operating-system error that has no better words of its own."""
    where = error.filename or place
    if error.errno == errno.ENOSPC:
        return f"No space is left on the disk that holds {where}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{where} may not be used by this account; choose another data folder with ISPVM_HOME."
        )
    if error.errno == errno.EROFS:
        return f"{where} is read-only; choose another data folder with ISPVM_HOME."
    return f"{where}: {error.strerror or error}."
