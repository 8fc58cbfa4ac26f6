"""Data keys: the version that seals, and the versions that still open. A tenant's need ``acting_in``."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.tenancy.context import require_tenant_id
from apps.vault.envelope import KEY_BYTES, KEY_ID_BYTES, encode_associated_data, parse_ciphertext
from apps.vault.errors import KeyRetired, SecretUnreadable
from apps.vault.models import PlatformKey, TenantKey
from apps.vault.registry import KeyScope
from apps.vault.services.master_keys import open_with_master, seal_with_master

KeyRow = TenantKey | PlatformKey


@dataclass(frozen=True)
class DataKey:
    """A data key in the clear; held for one operation only."""

    version: int
    secret: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        return key_id_of(self.version)


def key_id_of(version: int) -> bytes:
    """A data key's id in a ciphertext: its version."""
    return version.to_bytes(KEY_ID_BYTES, "big")


def version_of(sealed: bytes) -> int:
    """The version of the data key that sealed this. The first format is always version 1. Raises SecretUnreadable."""
    key_id = parse_ciphertext(sealed).key_id
    return 1 if key_id is None else int.from_bytes(key_id, "big")


def live_keys(scope: KeyScope) -> QuerySet[Any]:
    """The versions that have not been retired, oldest first."""
    model: Any = _model(scope)
    rows: QuerySet[Any] = model.objects.filter(retired_at=None).order_by("version")
    return rows


def sealing_key(scope: KeyScope) -> DataKey:
    """The newest data key, created on first use; no rotation retires it until this transaction ends.

    Locks: the key's row (shared).
    """
    table = _model(scope)._meta.db_table
    # The lock is taken on the row as the statement read it; if it was retired meanwhile no row is returned: retry.
    for _ in range(10):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT version, wrapped_key FROM {table} WHERE retired_at IS NULL"  # noqa: S608  (our own table)
                " ORDER BY version DESC LIMIT 1 FOR KEY SHARE"
            )
            row = cursor.fetchone()
        if row is not None:
            return DataKey(row[0], _unwrap(scope, row[0], bytes(row[1])))
        if _model(scope)._default_manager.exists():
            continue
        add_key(scope, version=1, at=clock.now())
    raise SecretUnreadable(message="The data keys change faster than they can be used.")


def opening_key(scope: KeyScope, version: int) -> DataKey:
    """The data key of this version. Raises KeyRetired, SecretUnreadable."""
    row = _model(scope)._default_manager.filter(version=version).first()
    if row is None:
        raise SecretUnreadable(message=f"There is no data key of version {version}.")
    if row.retired_at is not None:
        raise KeyRetired(message=f"The data key of version {version} has been retired.")
    return DataKey(version, _unwrap(scope, version, bytes(row.wrapped_key)))


def add_key(scope: KeyScope, *, version: int, at: datetime) -> bool:
    """Create a data key of this version; False when another process was first."""
    try:
        with transaction.atomic():
            _model(scope)(
                version=version,
                wrapped_key=seal_with_master(
                    os.urandom(KEY_BYTES), key_associated_data(scope, version)
                ),
                created_at=at,
            ).save(force_insert=True)
    except IntegrityError:
        return False
    return True


def rewrap(row: KeyRow, scope: KeyScope) -> None:
    """Wrap a data key under the current master key again. The caller holds the row's lock."""
    secret = _unwrap(scope, row.version, bytes(row.wrapped_key))
    row.wrapped_key = seal_with_master(secret, key_associated_data(scope, row.version))
    row.save(update_fields=["wrapped_key"])


def key_associated_data(scope: KeyScope, version: int) -> bytes:
    """Associated data of a wrapped data key."""
    return encode_associated_data(f"{scope}-key", owner_for(scope), str(version))


def owner_for(scope: KeyScope) -> str:
    """The owner of this scope's secrets, as named in associated data."""
    return str(require_tenant_id()) if scope is KeyScope.TENANT else "platform"


def _unwrap(scope: KeyScope, version: int, wrapped_key: bytes) -> bytes:
    key_id = parse_ciphertext(wrapped_key).key_id
    # The first format had one data key per tenant.
    associated_data = (
        key_associated_data(scope, version)
        if key_id
        else encode_associated_data("tenant-key", owner_for(scope))
    )
    return open_with_master(wrapped_key, key_id, associated_data)


def _model(scope: KeyScope) -> type[KeyRow]:
    return TenantKey if scope is KeyScope.TENANT else PlatformKey
