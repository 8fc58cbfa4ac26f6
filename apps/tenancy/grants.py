"""Grants on global tables, applied after every migration from ``catalog.GLOBAL_TABLES``."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connections

from apps.tenancy.catalog import GLOBAL_TABLES

_SEQUENCES_OF = """
SELECT s.oid::regclass::text FROM pg_class s
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
WHERE s.relkind = 'S' AND d.refobjid = %s::regclass
"""


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
            cursor.execute(_SEQUENCES_OF, [table])
            for (sequence,) in cursor.fetchall():
                cursor.execute(f"GRANT USAGE ON SEQUENCE {sequence} TO {role}")
