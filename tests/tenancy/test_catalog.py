"""The catalog lint: rules over every table, policy and grant of the migrated database."""

import pytest
from django.apps import apps
from django.db import connection

from apps.tenancy.catalog import GLOBAL_TABLES
from apps.tenancy.models import TenantModel

pytestmark = pytest.mark.django_db

POLICY = (
    "(tenant_id = ( SELECT (NULLIF(current_setting('ispvm.tenant_id'::text, true), ''::text))::uuid"
)


def rows(sql: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


@pytest.fixture
def tenant_tables() -> set[str]:
    names = rows(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
    )
    return {name for (name,) in names} - GLOBAL_TABLES.keys()


def test_every_listed_global_table_is_without_a_tenant_policy_on_purpose(tenant_tables):
    models = {m._meta.db_table for m in apps.get_models() if issubclass(m, TenantModel)}

    assert models & GLOBAL_TABLES.keys() == set()
    assert models <= tenant_tables


def test_every_tenant_table_forces_row_level_security(tenant_tables):
    forced = rows(
        "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity AND relkind IN ('r', 'p')"
    )

    assert tenant_tables - {name for (name,) in forced} == set()


def test_every_tenant_table_has_one_policy_for_reading_and_writing(tenant_tables):
    policies = rows(
        "SELECT tablename, permissive, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'public'"
    )
    by_table: dict[str, list[tuple]] = {}
    for table, *rest in policies:
        by_table.setdefault(table, []).append(tuple(rest))

    assert by_table.keys() == tenant_tables
    for table, found in by_table.items():
        assert len(found) == 1, table
        permissive, command, using, check = found[0]
        assert (permissive, command) == ("PERMISSIVE", "ALL"), table
        assert using.startswith(POLICY), table
        assert check.startswith(POLICY), table


def test_the_tenant_of_every_tenant_table_is_never_null(tenant_tables):
    columns = rows(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = 'tenant_id' AND is_nullable = 'NO'"
        " AND udt_name = 'uuid'"
    )

    assert tenant_tables - {name for (name,) in columns} == set()


def test_the_app_role_owns_nothing_and_is_ordinary():
    assert rows(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        " FROM pg_roles WHERE rolname = current_user"
    ) == [(False,) * 5]
    assert (
        rows(
            "SELECT relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner"
            " WHERE r.rolname = current_user AND relpersistence <> 't'"
        )
        == []
    )


def test_the_app_role_has_only_row_privileges():
    granted = rows(
        "SELECT DISTINCT privilege_type FROM information_schema.table_privileges"
        " WHERE grantee = current_user"
    )

    assert {p for (p,) in granted} <= {"SELECT", "INSERT", "UPDATE", "DELETE"}


def test_no_default_privileges_leak_new_tables_to_the_app_role():
    assert rows("SELECT defaclacl::text FROM pg_default_acl") == []


def test_foreign_keys_between_tenant_tables_carry_the_tenant(tenant_tables):
    keys = rows(
        "SELECT conrelid::regclass::text, conname, confrelid::regclass::text,"
        " (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a"
        "  WHERE a.attrelid = conrelid AND a.attnum = ANY(conkey))"
        " FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    )
    bare = [
        (table, name)
        for table, name, target, columns in keys
        if table in tenant_tables and target in tenant_tables and "tenant_id" not in columns
    ]

    assert bare == []


def test_every_model_key_between_tenant_tables_has_its_composite_constraint():
    present = {name for (name,) in rows("SELECT conname FROM pg_constraint WHERE contype = 'f'")}
    missing = [
        f"{model._meta.db_table}.{field.name}"
        for model in apps.get_models()
        if issubclass(model, TenantModel)
        for field in model._meta.concrete_fields
        if field.is_relation
        and isinstance(field.related_model, type)
        and issubclass(field.related_model, TenantModel)
        and f"{model._meta.db_table}_{field.name}_tenant_fk" not in present
    ]

    assert missing == []


def test_unique_constraints_of_tenant_tables_start_with_the_tenant(tenant_tables):
    indexes = rows(
        "SELECT c.relname, i.relname, pg_get_indexdef(x.indexrelid, 1, true), x.indisprimary"
        " FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid"
        " WHERE x.indisunique AND c.relnamespace = 'public'::regnamespace"
    )
    wrong = [
        (table, index)
        for table, index, first, primary in indexes
        if table in tenant_tables and not primary and first != "tenant_id"
    ]

    assert wrong == []


def test_views_run_with_the_rights_of_who_asks():
    views = rows(
        "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('v', 'm')"
        " AND c.relnamespace = 'public'::regnamespace"
        " AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false)"
    )

    assert views == []


def test_no_function_runs_with_its_owners_rights():
    assert (
        rows(
            "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        )
        == []
    )
