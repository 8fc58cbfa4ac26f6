"""Preparation as the owner: migrations, and partitions of the sample tables."""

from datetime import datetime

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from apps.telemetry import partitions


def prepare_database(at: datetime) -> None:
    """Migrate and create partitions, if this process has the owner role; else both must exist."""
    if "owner" in settings.DATABASES:
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        prepare_partitions(at)


def prepare_partitions(at: datetime) -> None:
    """Partitions of the sample tables for the days around this moment."""
    with connections["owner"].cursor() as cursor:
        partitions.ensure(cursor, at.date())
