"""Data keys: the version that seals, and the versions that still open. Of a tenant inside ``acting_in``."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.tenancy.context import require_tenant_id
from apps.vault.envelope import KEY_BYTES, KEY_ID_BYTES, parts_of, place
from apps.vault.errors import KeyRetired, SecretUnreadable
from apps.vault.models import PlatformKey, TenantKey
from apps.vault.registry import Area
from apps.vault.services.master_keys import open_with_master, seal_with_master

KeyRow = TenantKey | PlatformKey


@dataclass(frozen=True)
class DataKey:
    """A data key in the clear; for the length of one act."""

    version: int
    secret: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        return key_id_of(self.version)


def key_id_of(version: int) -> bytes:
    """A data key's id in what it sealed: its version."""
    return version.to_bytes(KEY_ID_BYTES, "big")


def version_of(sealed: bytes) -> int:
    """The version of the data key that sealed this. The first form is of the first key. Raises SecretUnreadable."""
    key_id = parts_of(sealed).key_id
    return 1 if key_id is None else int.from_bytes(key_id, "big")


def live_keys(area: Area) -> QuerySet[Any]:
    """The versions that have not been retired, oldest first."""
    model: Any = _model(area)
    rows: QuerySet[Any] = model.objects.filter(retired_at=None).order_by("version")
    return rows


def sealing_key(area: Area) -> DataKey:
    """The newest data key, made on first use; no rotation retires it until this transaction ends.

    Locks: the key's row (shared).
    """
    table = _model(area)._meta.db_table  # noqa: SLF001  (Django's public spelling)
    # The lock is taken on what the statement saw; if that was retired meanwhile, the row drops out: look again.
    for _ in range(10):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT version, wrapped FROM {table} WHERE retired_at IS NULL"  # noqa: S608  (our own table)
                " ORDER BY version DESC LIMIT 1 FOR KEY SHARE"
            )
            found = cursor.fetchone()
        if found is not None:
            return DataKey(found[0], _unwrap(area, found[0], bytes(found[1])))
        if _model(area)._default_manager.exists():  # noqa: SLF001
            continue
        add_key(area, version=1, at=clock.now())
    raise SecretUnreadable(message="The data keys change faster than they can be used.")


def opening_key(area: Area, version: int) -> DataKey:
    """The data key of this version. Raises KeyRetired, SecretUnreadable."""
    row = _model(area)._default_manager.filter(version=version).first()  # noqa: SLF001
    if row is None:
        raise SecretUnreadable(message=f"There is no data key of version {version}.")
    if row.retired_at is not None:
        raise KeyRetired(message=f"The data key of version {version} has been retired.")
    return DataKey(version, _unwrap(area, version, bytes(row.wrapped)))


def add_key(area: Area, *, version: int, at: datetime) -> bool:
    """Make a data key of this version; False when another process made it first."""
    try:
        with transaction.atomic():
            _model(area)(
                version=version,
                wrapped=seal_with_master(os.urandom(KEY_BYTES), key_place(area, version)),
                created_at=at,
            ).save(force_insert=True)
    except IntegrityError:
        return False
    return True


def wrap_again(row: KeyRow, area: Area) -> None:
    """Wrap a data key under the current master key. The caller holds the row's lock."""
    secret = _unwrap(area, row.version, bytes(row.wrapped))
    row.wrapped = seal_with_master(secret, key_place(area, row.version))
    row.save(update_fields=["wrapped"])


def key_place(area: Area, version: int) -> bytes:
    """Where a wrapped data key belongs."""
    return place(f"{area}-key", owner_of(area), str(version))


def owner_of(area: Area) -> str:
    """Whose the secrets of this area are, in associated data."""
    return str(require_tenant_id()) if area is Area.TENANT else "platform"


def _unwrap(area: Area, version: int, wrapped: bytes) -> bytes:
    key_id = parts_of(wrapped).key_id
    # The first form knew one data key per tenant.
    where = key_place(area, version) if key_id else place("tenant-key", owner_of(area))
    return open_with_master(wrapped, key_id, where)


def _model(area: Area) -> type[KeyRow]:
    return TenantKey if area is Area.TENANT else PlatformKey
