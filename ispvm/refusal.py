"""Failed start-up checks: exit with one sentence."""

from gunicorn.errors import AppImportError

from apps.tenancy.guard import Refusal, refuse_to_serve


def refuse_to_load() -> None:
    """For gunicorn workers: AppImportError stops the server and prints the text."""
    try:
        refuse_to_serve()
    except Refusal as refusal:
        raise AppImportError(str(refusal)) from refusal


def refuse_to_run() -> None:
    """For Celery workers: signal handlers can only stop the worker by SystemExit."""
    try:
        refuse_to_serve()
    except Refusal as refusal:
        raise SystemExit(str(refusal)) from refusal
