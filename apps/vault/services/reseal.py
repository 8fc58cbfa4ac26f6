"""Data key rotation: a new version seals from now on, and every sealed field is re-sealed under it in the background.

Reads and writes continue: earlier versions open until nothing is sealed under them. Batches are short transactions
that lock their rows; rows locked by others are left to the next sweep. After a crash it resumes from the state of the
rows; concurrent runs share the rows.
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
from apps.vault.envelope import FORMAT, KEY_ID_BYTES, seal
from apps.vault.errors import SecretUnreadable
from apps.vault.models import PlatformSecret
from apps.vault.registry import KeyScope, SealedField, sealed_field, sealed_fields
from apps.vault.services.data_keys import (
    DataKey,
    add_key,
    key_id_of,
    live_keys,
    sealing_key,
)
from apps.vault.services.master_keys import LEGACY_CHECK_NAME
from apps.vault.services.platform import is_sealed_by_master_key, open_legacy_platform_secret
from apps.vault.services.sealing import field_associated_data, open_sealed

BATCH = 200
#: How long an earlier version stays live after the next one was created: longer than any request or task, so that a
#: row that was read before it was re-sealed can still be opened.
GRACE = timedelta(minutes=10)


@dataclass(frozen=True)
class Sweep:
    """Counts of one pass over every sealed field. Unreadable ciphertexts are left unchanged."""

    resealed: int
    unreadable: int
    remaining: int


def begin_rotation(*, tenant_id: UUID | None, actor: ActorLike, at: datetime) -> int:
    """Create the next version of a tenant's data key (None: the installation's); returns the version that seals now.

    Idempotent: while earlier versions are in use, the running rotation is continued.
    """
    scope = scope_for(tenant_id)
    with tenant_context(tenant_id), transaction.atomic():
        newest = sealing_key(scope).version
        # Concurrent calls: one creates the version, the other finds it.
        rows = list(live_keys(scope).select_for_update(no_key=True))
        if len(rows) > 1 or rows[-1].version != newest:
            return int(rows[-1].version)
        if not add_key(scope, version=newest + 1, at=at):
            return newest + 1
        _audit(tenant_id, "vault.rotation_begun", {"version": newest + 1}, actor, at)
    return newest + 1


def sweep(
    *,
    tenant_id: UUID | None,
    batch: int = BATCH,
    should_continue: Callable[[], bool] = lambda: True,
) -> Sweep:
    """Re-seal what is sealed under earlier versions, batch by batch, while ``should_continue()`` is true."""
    scope, resealed, unreadable = scope_for(tenant_id), 0, 0
    for field in sealed_fields(scope):
        last: Any = None
        while should_continue():
            with tenant_context(tenant_id), transaction.atomic():
                result = _reseal_batch(field, sealing_key(scope), after=last, size=batch)
            resealed, unreadable = resealed + result.resealed, unreadable + result.unreadable
            last = result.last
            if last is None:
                break
    with tenant_context(tenant_id):
        remaining = sum(
            rows_under_earlier_keys(field, sealing_key(scope)).count()
            for field in sealed_fields(scope)
        )
    return Sweep(resealed, unreadable, remaining)


def retire_earlier_keys(
    *, tenant_id: UUID | None, actor: ActorLike, at: datetime, grace: timedelta = GRACE
) -> list[int]:
    """Destroy the earlier versions that nothing is sealed under; returns them. None before the grace period has ended.

    Idempotent. Locks: the keys' rows, so that transactions that are sealing under one are waited for.
    """
    scope = scope_for(tenant_id)
    with tenant_context(tenant_id), transaction.atomic():
        rows = list(live_keys(scope).select_for_update())
        if len(rows) < 2 or rows[-1].created_at > at - grace:  # noqa: PLR2004  (a single key has no earlier one)
            return []
        newest = DataKey(rows[-1].version, b"")
        if any(rows_under_earlier_keys(field, newest).exists() for field in sealed_fields(scope)):
            return []
        retired = [row.version for row in rows[:-1]]
        for row in rows[:-1]:
            row.wrapped_key, row.retired_at = b"", at
            row.save(update_fields=["wrapped_key", "retired_at"])
        detail = {"version": newest.version, "retired": retired}
        _audit(tenant_id, "vault.rotation_finished", detail, actor, at)
    return retired


def is_rotation_in_progress(*, tenant_id: UUID | None) -> bool:
    """Whether earlier versions of the data key are still live."""
    with tenant_context(tenant_id):
        return bool(live_keys(scope_for(tenant_id)).count() > 1)


def reseal_legacy_platform_secrets(*, at: datetime) -> int:  # noqa: ARG001  (services take ``at``)
    """Re-seal secrets in the first format, which a master key sealed itself, under the data key. Idempotent."""
    spec = sealed_field("vault_platformsecret", "sealed")
    resealed = 0
    with transaction.atomic():
        for row in PlatformSecret.objects.exclude(name=LEGACY_CHECK_NAME).select_for_update(
            no_key=True
        ):
            if row.sealed_value and is_sealed_by_master_key(spec, bytes(row.sealed_value)):
                key = sealing_key(KeyScope.PLATFORM)
                plain = open_legacy_platform_secret(row.name, bytes(row.sealed_value))
                row.sealed_value = seal(
                    key.secret, key.id, plain, field_associated_data(spec, row.pk)
                )
                row.save(update_fields=["sealed_value"])
                resealed += 1
    return resealed


@dataclass(frozen=True)
class _BatchResult:
    resealed: int
    unreadable: int
    last: Any


def _reseal_batch(field: SealedField, key: DataKey, *, after: Any, size: int) -> _BatchResult:
    rows = rows_under_earlier_keys(field, key)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    batch = list(
        rows.select_for_update(no_key=True, skip_locked=True, of=("self",))
        .order_by("pk")
        .values_list("pk", field.column)[:size]
    )
    resealed = unreadable = 0
    keys: dict[int, DataKey] = {}
    for pk, sealed in batch:
        try:
            plain = open_any(field, pk, bytes(sealed), keys)
        except SecretUnreadable:
            unreadable += 1
            continue
        new_ciphertext = seal(key.secret, key.id, plain, field_associated_data(field, pk))
        resealed += field.rows.filter(pk=pk).update(**{field.column: new_ciphertext})
    return _BatchResult(resealed, unreadable, batch[-1][0] if len(batch) == size else None)


def open_any(field: SealedField, pk: Any, sealed: bytes, keys: dict[int, DataKey]) -> bytes:
    """Open a ciphertext of either format. Raises SecretUnreadable."""
    if is_sealed_by_master_key(field, sealed):
        return open_legacy_platform_secret(str(pk), sealed)
    return open_sealed(field, pk, sealed, keys)


def sealed_rows(field: SealedField) -> QuerySet[Any]:
    """The rows that hold a ciphertext, with ``sealed_header``: format and key id."""
    rows: QuerySet[Any] = field.rows.annotate(
        sealed_length=Length(field.column),
        sealed_header=Substr(field.column, 1, 1 + KEY_ID_BYTES, output_field=BinaryField()),
    ).filter(sealed_length__gt=0)
    if field.model is PlatformSecret:  # the legacy check value is not a secret and stays unchanged
        rows = rows.exclude(pk=LEGACY_CHECK_NAME)
    return rows


def rows_under_earlier_keys(field: SealedField, key: DataKey) -> QuerySet[Any]:
    """The rows that are not sealed under this key."""
    return sealed_rows(field).filter(~Q(sealed_header=FORMAT + key_id_of(key.version)))


def scope_for(tenant_id: UUID | None) -> KeyScope:
    return KeyScope.TENANT if tenant_id else KeyScope.PLATFORM


def tenant_context(tenant_id: UUID | None) -> AbstractContextManager[Any]:
    """The tenant's context, or none for the installation's own secrets."""
    return acting_in(tenant_id) if tenant_id else nullcontext()


def _audit(
    tenant_id: UUID | None, action: str, detail: dict[str, Any], actor: ActorLike, at: datetime
) -> None:
    if tenant_id:
        record(action=action, actor=actor, entity=("tenant", tenant_id), at=at, detail=detail)
    else:
        record_platform(
            action=action, actor=actor, entity=("installation", "platform"), at=at, detail=detail
        )
