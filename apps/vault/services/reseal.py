"""Rotating a data key: a new version seals from now on, and every sealed field is re-sealed under it in the background.

Reads and writes go on: earlier versions open until nothing is sealed under them. Batches are short transactions whose
rows are locked; rows that somebody else holds are left to the next sweep. Killed at any point, it goes on where the
rows say that it is; several at once share the rows.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import BinaryField, Q, QuerySet
from django.db.models.functions import Length, Substr

from apps.audit.services import ActorLike, record, record_platform
from apps.tenancy import acting_in
from apps.vault.envelope import FORM, KEY_ID_BYTES, seal
from apps.vault.errors import SecretUnreadable
from apps.vault.models import PlatformSecret
from apps.vault.registry import Area, SealedField, sealed_field, sealed_fields
from apps.vault.services.data_keys import (
    DataKey,
    add_key,
    key_id_of,
    live_keys,
    sealing_key,
)
from apps.vault.services.master_keys import FIRST_CHECK_NAME
from apps.vault.services.platform import is_under_master, open_under_master
from apps.vault.services.sealing import field_place, open_sealed

BATCH = 200
#: An earlier version stays this long after the next one was made: longer than any request or task, so that whoever
#: read a row before it was re-sealed can still open it.
GRACE = timedelta(minutes=10)


@dataclass(frozen=True)
class Sweep:
    """One pass over every sealed field: re-sealed, and what could not be opened (it is left as it is)."""

    moved: int
    unreadable: int
    left: int


def begin_rotation(*, tenant_id: UUID | None, actor: ActorLike, at: datetime) -> int:
    """Make the next version of a tenant's data key (None: the installation's); returns the version that seals now.

    Idempotent: while earlier versions are still in use, a rotation is under way and is only continued.
    """
    area = area_of(tenant_id)
    with inside(tenant_id), transaction.atomic():
        newest = sealing_key(area).version
        # Two that begin at once: one makes the version, the other finds it made.
        rows = list(live_keys(area).select_for_update(no_key=True))
        if len(rows) > 1 or rows[-1].version != newest:
            return int(rows[-1].version)
        if not add_key(area, version=newest + 1, at=at):
            return newest + 1
        _audit(tenant_id, "vault.rotation_begun", {"version": newest + 1}, actor, at)
    return newest + 1


def sweep(
    *, tenant_id: UUID | None, batch: int = BATCH, keep_on: Callable[[], bool] = lambda: True
) -> Sweep:
    """Re-seal what is sealed under earlier versions, batch by batch, while ``keep_on`` says so."""
    area, moved, unreadable = area_of(tenant_id), 0, 0
    for field in sealed_fields(area):
        last: Any = None
        while keep_on():
            with inside(tenant_id), transaction.atomic():
                done = _reseal_batch(field, sealing_key(area), after=last, size=batch)
            moved, unreadable, last = moved + done.moved, unreadable + done.unreadable, done.last
            if last is None:
                break
    with inside(tenant_id):
        left = sum(earlier_rows(field, sealing_key(area)).count() for field in sealed_fields(area))
    return Sweep(moved, unreadable, left)


def retire_earlier_keys(
    *, tenant_id: UUID | None, actor: ActorLike, at: datetime, grace: timedelta = GRACE
) -> list[int]:
    """Destroy the earlier versions that nothing is sealed under; returns them. None before their grace has ended.

    Idempotent. Locks: the keys' rows, so that whoever is sealing under one just now is waited for.
    """
    area = area_of(tenant_id)
    with inside(tenant_id), transaction.atomic():
        rows = list(live_keys(area).select_for_update())
        if len(rows) < 2 or rows[-1].created_at > at - grace:  # noqa: PLR2004  (one key: nothing is earlier)
            return []
        newest = DataKey(rows[-1].version, b"")
        if any(earlier_rows(field, newest).exists() for field in sealed_fields(area)):
            return []
        retired = [row.version for row in rows[:-1]]
        for row in rows[:-1]:
            row.wrapped, row.retired_at = b"", at
            row.save(update_fields=["wrapped", "retired_at"])
        said = {"version": newest.version, "retired": retired}
        _audit(tenant_id, "vault.rotation_finished", said, actor, at)
    return retired


def is_under_way(*, tenant_id: UUID | None) -> bool:
    """Whether earlier versions of the data key are still there."""
    with inside(tenant_id):
        return bool(live_keys(area_of(tenant_id)).count() > 1)


def reseal_platform_of_before(*, at: datetime) -> int:  # noqa: ARG001  (as every act)
    """Secrets that a master key sealed itself come under the installation's data key. Idempotent."""
    known = sealed_field("vault_platformsecret", "sealed")
    moved = 0
    with transaction.atomic():
        for row in PlatformSecret.objects.exclude(name=FIRST_CHECK_NAME).select_for_update(
            no_key=True
        ):
            if row.sealed and is_under_master(known, bytes(row.sealed)):
                key = sealing_key(Area.PLATFORM)
                plain = open_under_master(row.name, bytes(row.sealed))
                row.sealed = seal(key.secret, key.id, plain, field_place(known, row.pk))
                row.save(update_fields=["sealed"])
                moved += 1
    return moved


@dataclass(frozen=True)
class _Done:
    moved: int
    unreadable: int
    last: Any


def _reseal_batch(field: SealedField, key: DataKey, *, after: Any, size: int) -> _Done:
    rows = earlier_rows(field, key)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    taken = list(
        rows.select_for_update(no_key=True, skip_locked=True, of=("self",))
        .order_by("pk")
        .values_list("pk", field.column)[:size]
    )
    moved = unreadable = 0
    keys: dict[int, DataKey] = {}
    for pk, sealed in taken:
        try:
            plain = open_any(field, pk, bytes(sealed), keys)
        except SecretUnreadable:
            unreadable += 1
            continue
        again = seal(key.secret, key.id, plain, field_place(field, pk))
        moved += field.rows.filter(pk=pk).update(**{field.column: again})
    return _Done(moved, unreadable, taken[-1][0] if len(taken) == size else None)


def open_any(field: SealedField, pk: Any, sealed: bytes, keys: dict[int, DataKey]) -> bytes:
    """What a ciphertext holds, of whichever form. Raises SecretUnreadable."""
    if is_under_master(field, sealed):
        return open_under_master(str(pk), sealed)
    return open_sealed(field, pk, sealed, keys)


def sealed_rows(field: SealedField) -> QuerySet[Any]:
    """The rows that hold a ciphertext, with ``sealed_head``: its form and the id of its key."""
    rows: QuerySet[Any] = field.rows.annotate(
        sealed_length=Length(field.column),
        sealed_head=Substr(field.column, 1, 1 + KEY_ID_BYTES, output_field=BinaryField()),
    ).filter(sealed_length__gt=0)
    if field.model is PlatformSecret:  # the first check value is no secret and stays as it was
        rows = rows.exclude(pk=FIRST_CHECK_NAME)
    return rows


def earlier_rows(field: SealedField, key: DataKey) -> QuerySet[Any]:
    """The rows that are not sealed by this key."""
    return sealed_rows(field).filter(~Q(sealed_head=FORM + key_id_of(key.version)))


def area_of(tenant_id: UUID | None) -> Area:
    return Area.TENANT if tenant_id else Area.PLATFORM


def inside(tenant_id: UUID | None) -> AbstractContextManager[Any]:
    """The tenant's context, or none for the installation's own secrets."""
    return acting_in(tenant_id) if tenant_id else nullcontext()


def _audit(
    tenant_id: UUID | None, action: str, said: dict[str, Any], actor: ActorLike, at: datetime
) -> None:
    if tenant_id:
        record(action=action, actor=actor, entity=("tenant", tenant_id), at=at, detail=said)
    else:
        record_platform(
            action=action, actor=actor, entity=("installation", "platform"), at=at, detail=said
        )
