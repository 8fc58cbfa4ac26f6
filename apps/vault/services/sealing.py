"""Sealing and opening fields. A tenant's are opened under an audited lease."""

from typing import Any
from uuid import UUID

from apps.tenancy.context import require_tenant_id
from apps.vault.envelope import encode_associated_data, seal, unseal
from apps.vault.errors import KeyRetired, SecretUnreadable
from apps.vault.registry import KeyScope, SealedField, sealed_field
from apps.vault.services.data_keys import DataKey, opening_key, owner_for, sealing_key, version_of
from apps.vault.services.leases import Lease


def seal_secret(*, table: str, row_id: UUID | str, field: str, plaintext: bytes) -> bytes:
    """Seal for one registered field of one row: of the current tenant, or of the installation.

    Save the row in the same transaction: until it ends, no rotation retires the key. Raises LookupError.
    """
    spec = sealed_field(table, field)
    key = sealing_key(spec.scope)
    return seal(key.secret, key.id, plaintext, field_associated_data(spec, row_id))


def open_secret(*, row: Any, field: str, lease: Lease) -> bytes:
    """Open a registered field of a row of the current tenant. Raises LookupError, SecretUnreadable.

    A row that was read before a rotation ended is reloaded.
    """
    if lease.tenant_id != require_tenant_id():
        raise SecretUnreadable(message="The lease is another tenant's.")
    return _open(row, sealed_field(row._meta.db_table, field), lease.keys)


def open_platform_field(*, row: Any, field: str) -> bytes:
    """Open a registered field that the installation's key seals; the caller audits it.

    Raises LookupError, SecretUnreadable.
    """
    spec = sealed_field(row._meta.db_table, field)
    if spec.scope is not KeyScope.PLATFORM:
        raise LookupError(f"{spec.table}.{spec.name} belongs to a tenant: open it under a lease.")
    return _open(row, spec, {})


def _open(row: Any, spec: SealedField, keys: dict[int, DataKey]) -> bytes:
    try:
        return open_sealed(spec, row.pk, bytes(getattr(row, spec.column)), keys)
    except KeyRetired:
        row.refresh_from_db(fields=[spec.column])
        return open_sealed(spec, row.pk, bytes(getattr(row, spec.column)), keys)


def open_sealed(
    spec: SealedField, row_id: UUID | str, sealed: bytes, keys: dict[int, DataKey]
) -> bytes:
    """Open a ciphertext of this field and row; ``keys`` caches data keys.

    For use inside the vault only. Raises SecretUnreadable, KeyRetired.
    """
    version = version_of(sealed)
    key = keys.get(version)
    if key is None:
        key = keys[version] = opening_key(spec.scope, version)
    return unseal(key.secret, sealed, field_associated_data(spec, row_id))


def field_associated_data(spec: SealedField, row_id: UUID | str) -> bytes:
    """Associated data of a sealed field: owner, table, row, field."""
    return encode_associated_data(owner_for(spec.scope), spec.table, str(row_id), spec.name)
