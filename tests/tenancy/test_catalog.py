"""The models and the database agree on what is a tenant's (the rest is the catalog lint's: test_lint)."""

import pytest
from django.apps import apps
from django.db import connection

from apps.tenancy.catalog import GLOBAL_TABLES
from apps.tenancy.models import TenantModel

pytestmark = pytest.mark.django_db


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


def test_global_tables_have_no_tenant_policy(tenant_tables):
    models = {m._meta.db_table for m in apps.get_models() if issubclass(m, TenantModel)}

    assert models & GLOBAL_TABLES.keys() == set()
    assert models <= tenant_tables


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
