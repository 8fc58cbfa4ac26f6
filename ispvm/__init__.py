"""Composition of the platform: settings, URLs, processes. Apps do not import it."""

from ispvm.celery import app as celery_app

__all__ = ["celery_app"]
