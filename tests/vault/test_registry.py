"""Every sealed field is registered, and code outside the vault opens none without a lease."""

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import BinaryField

from apps.vault.registry import SEALED_FIELDS, SEALED_WITH_OTHER_KEYS, WRAPPED_KEYS, sealed_field

PROJECT = Path(__file__).parents[2]
LISTED = {f"{f.model_name}.{f.column}" for f in SEALED_FIELDS} | {
    *WRAPPED_KEYS,
    *SEALED_WITH_OTHER_KEYS,
}
#: Opens ciphertexts sealed with a key outside the vault.
USES_ANOTHER_KEY = PROJECT / "apps/agents/keys.py"
#: Functions inside the vault that open without a lease.
INTERNAL_FUNCTIONS = {
    "unseal",
    "open_sealed",
    "open_any",
    "open_with_master",
    "open_legacy_platform_secret",
    "opening_key",
}


def unlisted(fields) -> set[str]:
    """Binary fields named like ciphertexts that are in no list."""
    return {
        name
        for name, field in fields
        if isinstance(field, BinaryField)
        and field.name.startswith(("sealed", "wrapped"))
        and name not in LISTED
    }


def all_fields():
    return [
        (f"{model._meta.label}.{field.name}", field)
        for model in apps.get_models()
        for field in model._meta.get_fields()
    ]


def test_every_sealed_field_is_registered():
    assert unlisted(all_fields()) == set()


def test_an_unregistered_field_is_found():
    unregistered = BinaryField(name="sealed_token")

    assert unlisted([*all_fields(), ("webhooks.Endpoint.sealed_token", unregistered)]) == {
        "webhooks.Endpoint.sealed_token"
    }


def test_every_registered_field_exists_and_is_unique():
    for field in SEALED_FIELDS:
        assert isinstance(field.model._meta.get_field(field.column), BinaryField)
        assert sealed_field(field.table, field.name) is field
    assert len({(f.table, f.name) for f in SEALED_FIELDS}) == len(SEALED_FIELDS)


def test_an_unregistered_field_is_not_sealed():
    with pytest.raises(LookupError, match="registry"):
        sealed_field("inventory_device", "secret")


def test_no_code_outside_the_vault_opens_without_a_lease():
    found = {
        f"{path.relative_to(PROJECT)}: {alias.name}"
        for path in (PROJECT / "apps").rglob("*.py")
        if PROJECT / "apps/vault" not in path.parents and path != USES_ANOTHER_KEY
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("apps.vault")
        for alias in node.names
        if alias.name in INTERNAL_FUNCTIONS
    }

    assert found == set()
