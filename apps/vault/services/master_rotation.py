"""Rotating the master key: every data key is wrapped again, one short transaction per tenant.

Killed at any point, it is simply run again: what is done is seen in the rows. Two at once share the work.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.audit.services import ActorLike, record, record_platform
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.vault.envelope import parts_of
from apps.vault.models import MasterKey, PlatformKey, TenantKey
from apps.vault.registry import Area
from apps.vault.services.data_keys import live_keys, wrap_again
from apps.vault.services.key_holders import require_key_everywhere
from apps.vault.services.master_keys import check_master_key, keyring
from apps.vault.services.reseal import reseal_platform_of_before


@dataclass(frozen=True)
class MasterRotation:
    """What a run did: data keys wrapped again, and the master keys that nothing needs any more."""

    wrapped: int
    retired: tuple[str, ...]


def rotate_master_key(
    *,
    actor: ActorLike,
    at: datetime,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    force: bool = False,
) -> MasterRotation:
    """Wrap every data key under the current master key, then retire the earlier ones. O(tenants).

    Idempotent. Locks: per tenant its data keys; at the end the earlier master keys. ``force``: whatever running
    processes lack. Raises MasterKeyInvalid, MasterKeyNotEverywhere.
    """
    # Registers the key: a process that starts from now on without it refuses to.
    ring = check_master_key()
    if not force:
        require_key_everywhere(ring.current.label)
    tenants = list(Tenant.objects.order_by("pk").values_list("pk", flat=True))
    wrapped = _wrap_area(None, actor, at)
    for number, tenant_id in enumerate(tenants, 1):
        wrapped += _wrap_area(tenant_id, actor, at)
        progress(number, len(tenants))
    if not force:  # one that had just read its file when this began has said so by now
        require_key_everywhere(ring.current.label)
    return MasterRotation(wrapped, _retire(actor, at))


def _wrap_area(tenant_id: UUID | None, actor: ActorLike, at: datetime) -> int:
    """Wrap one owner's data keys; in one transaction with its audit record."""
    area = Area.TENANT if tenant_id else Area.PLATFORM
    if tenant_id is None:
        reseal_platform_of_before(at=at)
    with _inside(tenant_id):
        stale = [row for row in live_keys(area).select_for_update(no_key=True) if _is_stale(row)]
        for row in stale:
            wrap_again(row, area)
        if stale:
            versions = sorted(row.version for row in stale)
            detail = {"versions": versions, "master_key": keyring().current.label}
            if tenant_id:
                record(
                    action="vault.data_keys_wrapped",
                    actor=actor,
                    entity=("tenant", tenant_id),
                    at=at,
                    detail=detail,
                )
            else:
                record_platform(
                    action="vault.data_keys_wrapped",
                    actor=actor,
                    entity=("installation", "platform"),
                    at=at,
                    detail=detail,
                )
    return len(stale)


def _retire(actor: ActorLike, at: datetime) -> tuple[str, ...]:
    """Retire the master keys that nothing is wrapped under. Whoever is wrapping under one just now is waited for."""
    with transaction.atomic():
        earlier = list(
            MasterKey.objects.select_for_update()
            .filter(retired_at=None)
            .exclude(key_id=keyring().current.label)
            .order_by("key_id")
        )
        if not earlier:
            return ()
        still_used = _labels_in_use(None)
        for tenant_id in Tenant.objects.values_list("pk", flat=True):
            still_used |= _labels_in_use(tenant_id)
        done = tuple(row.key_id for row in earlier if row.key_id not in still_used)
        MasterKey.objects.filter(key_id__in=done).update(retired_at=at)
        if done:
            record_platform(
                action="vault.master_key_rotated",
                actor=actor,
                entity=("master_key", keyring().current.label),
                at=at,
                detail={"retired": list(done)},
            )
    return done


def _labels_in_use(tenant_id: UUID | None) -> set[str]:
    area = Area.TENANT if tenant_id else Area.PLATFORM
    with _inside(tenant_id):
        key_ids = [parts_of(bytes(row.wrapped)).key_id for row in live_keys(area)]
    # The first form names none: nobody can tell which, so all of them stay.
    if None in key_ids:
        return set(MasterKey.objects.values_list("key_id", flat=True))
    return {key_id.hex() for key_id in key_ids if key_id}


@contextmanager
def _inside(tenant_id: UUID | None) -> Iterator[None]:
    with acting_in(tenant_id) if tenant_id else nullcontext(), transaction.atomic():
        yield


def _is_stale(row: TenantKey | PlatformKey) -> bool:
    return parts_of(bytes(row.wrapped)).key_id != keyring().current.id
