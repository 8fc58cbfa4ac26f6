"""Composition of the platform: settings, URLs, processes. Nobody imports it."""

from ispvm.celery import app as celery_app

__all__ = ["celery_app"]
