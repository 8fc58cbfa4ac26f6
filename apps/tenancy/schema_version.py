"""Refusing to use a database that was migrated by newer code."""

from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from apps.tenancy.startup_checks import StartupCheckFailed

MAX_LISTED = 3


class DatabaseNewer(StartupCheckFailed):
    """The database was migrated by a newer version."""


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """All migrations of this code, including those replaced by squashed ones."""
    # Loaded without a graph: the ingest process lacks apps that other migrations depend on.
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    replaced = [key for migration in loader.disk_migrations.values() for key in migration.replaces]
    return frozenset([*loader.disk_migrations, *replaced])


def check_database_version(using: str = "default") -> None:
    """Raise DatabaseNewer when migrations have been applied that this code does not have.

    An unknown migration older than the last known one of its app was removed after a squash. Apps that are not
    installed here do not count: a library that was removed leaves its rows.
    """
    known = _known_migrations()
    labels = {*apps.app_configs} - {*settings.ISPVM_APPS_WITHOUT_TABLES_HERE}
    with connections[using].cursor() as cursor:
        if MigrationRecorder.Migration._meta.db_table not in (
            connections[using].introspection.table_names(cursor)
        ):
            return
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
        applied = cursor.fetchall()
    last_known = {key[0]: number for number, key in enumerate(applied) if key in known}
    unknown = [
        key
        for number, key in enumerate(applied)
        if key not in known and key[0] in labels and number > last_known.get(key[0], -1)
    ]
    if unknown:
        names = ", ".join(f"{app}.{name}" for app, name in unknown[:MAX_LISTED])
        more = f" and {len(unknown) - MAX_LISTED} more" if len(unknown) > MAX_LISTED else ""
        raise DatabaseNewer(
            f"Refusing to start: the database was migrated by a newer version ({names}{more}). Nothing was changed. "
            "Start the newer version again, or restore the dump that was made before the upgrade."
        )


def check_before_migrate(using: str, **_: Any) -> None:
    """Before any migration: older code must not report a newer database as up to date."""
    try:
        check_database_version(using)
    except DatabaseNewer as error:
        raise CommandError(str(error)) from error
