"""Grants on global tables, applied after every migration from the closed list."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connections

from apps.tenancy.catalog import GLOBAL_TABLES


def grant_global_tables(sender: AppConfig, using: str, **_: Any) -> None:  # noqa: ARG001
    """Give the app role exactly the listed privileges on the listed tables that exist."""
    role = settings.ISPVM_APP_ROLE
    connection = connections[using]
    existing = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        for table in sorted(existing & GLOBAL_TABLES.keys()):
            cursor.execute(f"REVOKE ALL ON {table} FROM {role}")
            cursor.execute(f"GRANT {GLOBAL_TABLES[table]} ON {table} TO {role}")
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
            row = cursor.fetchone() if _has_id(cursor, table) else None
            if row and row[0]:
                cursor.execute(f"GRANT USAGE ON SEQUENCE {row[0]} TO {role}")


def _has_id(cursor: Any, table: str) -> bool:
    cursor.execute(
        "SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name = 'id'",
        [table],
    )
    return cursor.fetchone() is not None
