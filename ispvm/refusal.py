"""How a refusal to serve looks: one sentence and the end, whoever runs the process."""

from gunicorn.errors import AppImportError

from apps.tenancy.guard import Refusal, refuse_to_serve


def refuse_to_load() -> None:
    """For gunicorn's workers: an application that cannot be loaded ends the whole server with its text."""
    try:
        refuse_to_serve()
    except Refusal as refusal:
        raise AppImportError(str(refusal)) from refusal


def refuse_to_run() -> None:
    """For a Celery worker, whose signals swallow everything but an exit."""
    try:
        refuse_to_serve()
    except Refusal as refusal:
        raise SystemExit(str(refusal)) from refusal
