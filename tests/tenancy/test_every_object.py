"""T1: without a tenant, the app role reads nothing and writes nothing, checked for every object in the catalog."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from apps.tenancy import acting_in
from apps.tenancy.catalog import GLOBAL_TABLES
from tests.accounts.rows import ROWS

pytestmark = pytest.mark.django_db

_OBJECTS = """
SELECT c.relkind, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relname,
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_temp'
ORDER BY 2
"""
_FUNCTIONS = """
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


PLAIN = "(tenant_id) VALUES (%s)"
#: A partitioned table wants to know into which partition first.
ROW_OF = {"public.telemetry_sample": "(tenant_id, ts) VALUES (%s, now())"}


def requested(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def outcome(statement: str, *values: object) -> int | str:
    """The number of affected rows, or the error; rolled back."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, values)
            touched = cursor.fetchone()[0] if statement.startswith("SELECT") else cursor.rowcount
            transaction.set_rollback(True)
            return touched
    except DatabaseError as refused:
        return str(refused)


def is_empty_or_refused(responses: int | str) -> bool:
    return responses == 0 or (isinstance(responses, str) and "permission denied" in responses)


@pytest.fixture
def tables(globex, globex_admin) -> dict[str, bool]:
    """Every table, partition, view and matview with rows of tenants -> whether it names the tenant; globex has rows of
    every kind of resource."""
    with acting_in(globex):
        for make in ROWS.values():
            make()
    return {
        name: has_tenant
        for kind, name, plain, has_tenant in requested(_OBJECTS)
        if kind in "rpvmf" and plain not in GLOBAL_TABLES
    }


def test_tenant_tables_have_rows(tables, globex):
    with acting_in(globex):
        counts = {name: outcome(f"SELECT count(*) FROM {name}") for name in tables}
    filled = [name for name, number in counts.items() if isinstance(number, int) and number]

    assert len(tables) >= 50
    assert len(filled) >= 20


def test_nothing_is_read(tables):
    responses = {name: outcome(f"SELECT count(*) FROM {name}") for name in tables}

    assert {name: what for name, what in responses.items() if not is_empty_or_refused(what)} == {}


def test_nothing_is_changed_or_deleted(tables):
    responses = {}
    for name, has_tenant in tables.items():
        responses[name, "delete"] = outcome(f"DELETE FROM {name}")
        if has_tenant:
            responses[name, "update"] = outcome(f"UPDATE {name} SET tenant_id = tenant_id")
        truncated = outcome(f"TRUNCATE {name} CASCADE")
        responses[name, "truncate"] = 0 if "permission denied" in str(truncated) else truncated

    assert {key: what for key, what in responses.items() if not is_empty_or_refused(what)} == {}


def test_nothing_is_added(tables):
    responses = {
        name: str(outcome(f"INSERT INTO {name} {ROW_OF.get(name, PLAIN)}", uuid4()))
        for name, has_tenant in tables.items()
        if has_tenant
    }
    walls = ("row-level security", "permission denied")

    assert {n: what for n, what in responses.items() if not any(w in what for w in walls)} == {}


def test_sequences_are_usable_but_not_writable():
    names = [name for kind, name, *_ in requested(_OBJECTS) if kind == "S"]

    assert names
    responses = {name: outcome(f"SELECT last_value FROM {name}") for name in names}
    assert {name for name, what in responses.items() if not is_empty_or_refused(what)} == set()
    reset = {name: outcome(f"SELECT setval('{name}', 1)") for name in names}
    assert {name for name, what in reset.items() if not is_empty_or_refused(what)} == set()


def test_no_user_defined_function_is_callable():
    assert requested(_FUNCTIONS) == []


def test_every_object_was_checked(tables, record_property):
    kinds = [kind for kind, *_ in requested(_OBJECTS)]
    record_property(
        "bar",
        f"T1: {len(tables)} tables, partitions and views, {kinds.count('S')} sequences and"
        f" {len(requested(_FUNCTIONS))} functions: 0 rows read, 0 written without a tenant",
    )
