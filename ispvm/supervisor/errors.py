"""Errors of the launcher."""

import errno
from pathlib import Path


class LaunchError(Exception):
    """One sentence for the operator, printed without a traceback; exit code 2."""


def explain_os_error(error: OSError, default: Path) -> str:
    """One sentence for an OSError."""
    path = error.filename or default
    if error.errno == errno.ENOSPC:
        return f"No space is left on the disk that holds {path}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path} is not accessible to this account; set ISPVM_HOME to another data folder."
    if error.errno == errno.EROFS:
        return f"{path} is read-only; set ISPVM_HOME to another data folder."
    return f"{path}: {error.strerror or error}."
