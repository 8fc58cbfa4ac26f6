"""The owner's part: tables, and a place for each day's readings."""

from datetime import datetime

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from apps.telemetry import partitions


def prepare_database(at: datetime) -> None:
    """Migrate and make partitions, where this process may act as the owner; else they have to be there."""
    if "owner" in settings.DATABASES:
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        prepare_partitions(at)


def prepare_partitions(at: datetime) -> None:
    """A place for each day's readings around this moment."""
    with connections["owner"].cursor() as cursor:
        partitions.ensure(cursor, at.date())
