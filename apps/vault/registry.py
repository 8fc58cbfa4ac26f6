"""The closed list of sealed fields: what rotation re-encrypts and a check of the vault opens.

Every field with ciphertexts, of any app, must be listed: the secrets of an unlisted one are lost with the first
retired key. A test finds missing ones. ``name`` is the name in the associated data and never changes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.db.models import Model


class KeyScope(StrEnum):
    """Whose data key seals: the tenant's, or the installation's."""

    TENANT = "tenant"
    PLATFORM = "platform"


@dataclass(frozen=True)
class SealedField:
    """A column of ciphertexts. Null and empty mean no secret."""

    model_name: str
    column: str
    name: str
    scope: KeyScope

    @property
    def model(self) -> type[Model]:
        return apps.get_model(self.model_name)

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def rows(self) -> Any:
        return self.model._default_manager


SEALED_FIELDS = (
    SealedField("vault.CredentialSet", "sealed_secret", "secret", KeyScope.TENANT),
    SealedField("webhooks.Secret", "sealed", "secret", KeyScope.TENANT),
    SealedField("vault.PlatformSecret", "sealed_value", "sealed", KeyScope.PLATFORM),
)

#: Data keys, wrapped by a master key: rotated by rewrapping.
WRAPPED_KEYS = ("vault.TenantKey.wrapped_key", "vault.PlatformKey.wrapped_key")

#: Sealed under a key outside the vault: the signer's CA key file (see apps/agents/keys.py).
SEALED_WITH_OTHER_KEYS = ("agents.CertificateAuthority.sealed_key",)


def sealed_fields(scope: KeyScope) -> tuple[SealedField, ...]:
    """The fields that the key of this scope seals."""
    return tuple(field for field in SEALED_FIELDS if field.scope is scope)


def sealed_field(table: str, name: str) -> SealedField:
    """The registered field of this table. Raises LookupError."""
    for field in SEALED_FIELDS:
        if (field.table, field.name) == (table, name):
            return field
    raise LookupError(
        f"{table}.{name} is not a registered sealed field: see apps/vault/registry.py."
    )
