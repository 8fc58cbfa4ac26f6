"""Databases of the tests: migrated once as the owner into a template, copied per worker, used as the app role."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from apps.events.installation import FINGERPRINT

PROJECT = Path(__file__).resolve().parents[1]


def migrations_digest() -> str:
    """Changes whenever a migration, the grants or the isolation SQL change."""
    summed = hashlib.sha256()
    sources = [*PROJECT.glob("apps/*/migrations/*.py"), *PROJECT.glob("apps/tenancy/*.py")]
    for path in sorted(sources):
        summed.update(path.read_bytes())
    return summed.hexdigest()[:12]


@contextmanager
def as_owner(database: str = "ispvm", alias: str = "owner") -> Iterator[Any]:
    """A cursor of the owner role with autocommit, outside Django's own connections."""
    owner = settings.DATABASES[alias]
    connection = psycopg2.connect(
        host=owner["HOST"],
        port=owner["PORT"] or None,
        user=owner["USER"],
        password=owner["PASSWORD"],
        dbname=database,
    )
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def use_database(name: str) -> None:
    """Point every alias at this database."""
    for alias in connections:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
        settings.DATABASES[alias]["NAME"] = name


def ensure_template(home: Path) -> str:
    """The migrated template's name; the first process creates it, the others wait."""
    name = f"ispvm_template_{migrations_digest()}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with as_owner() as cursor:
            cursor.execute("SELECT datistemplate FROM pg_database WHERE datname = %s", [name])
            row = cursor.fetchone()
            if row is not None and row[0]:
                return name
            if row is not None:
                drop(name)
            cursor.execute(f"CREATE DATABASE {name}")
        use_database(name)
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        for alias in connections:
            connections[alias].close()
        with as_owner() as cursor:
            cursor.execute(f"ALTER DATABASE {name} IS_TEMPLATE true")
    return name


def create_from(template: str, name: str) -> None:
    """A fresh copy of the template."""
    drop(name)
    with as_owner() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    with as_owner(name) as cursor:
        # Not a restore: to the tests it has always been here.
        cursor.execute(f"UPDATE events_installation SET fingerprint = {FINGERPRINT}")


def drop(name: str) -> None:
    """Drop a database if it exists, and end the sessions in it, of servers that a test ran in a thread."""
    for role in ("default", "owner"):  # only its own role may end a session
        with as_owner(alias=role) as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                " WHERE datname = %s AND usename = current_user",
                [name],
            )
    with as_owner() as cursor:
        # Without FORCE it ends autovacuum in this database by itself; with FORCE only a superuser may.
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")


KEPT = (
    *("django_migrations", "django_content_type", "auth_permission"),
    "events_installation",
)


def empty_all_tables() -> None:
    """Truncate as the owner: the app role may not, by design."""
    with as_owner(settings.DATABASES["default"]["NAME"]) as cursor:
        cursor.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname = 'public' AND NOT tablename = ANY(%s)",
            [list(KEPT)],
        )
        tables = ", ".join(row[0] for row in cursor.fetchall())
        cursor.execute(f"TRUNCATE {tables} CASCADE")


def url_of_this_test(port: int | None = None) -> str:
    """The test's own database as the app role, for another process; ``port`` replaces that of the URL."""
    row = settings.DATABASES["default"]
    password, host = (quote(str(row[name]), safe="") for name in ("PASSWORD", "HOST"))
    return f"postgres://{row['USER']}:{password}@{host}:{port or row['PORT']}/{row['NAME']}"
