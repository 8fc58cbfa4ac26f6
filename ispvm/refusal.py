"""Failed start-up checks: exit with one sentence."""

from gunicorn.errors import AppImportError

from apps.tenancy.startup_checks import StartupCheckFailed, run_startup_checks


def refuse_to_load() -> None:
    """For gunicorn workers: AppImportError stops the server and prints the text."""
    try:
        run_startup_checks()
    except StartupCheckFailed as refusal:
        raise AppImportError(str(refusal)) from refusal


def refuse_to_run() -> None:
    """For Celery workers: signal handlers can only stop the worker by SystemExit."""
    try:
        run_startup_checks()
    except StartupCheckFailed as refusal:
        raise SystemExit(str(refusal)) from refusal
