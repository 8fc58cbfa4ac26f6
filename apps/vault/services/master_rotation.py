"""Rotating the master key: every data key is rewrapped, one short transaction per tenant.

After a crash run it again: the rows show what is done. Two concurrent runs share the work.
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
from apps.vault.envelope import parse_ciphertext
from apps.vault.models import MasterKey, PlatformKey, TenantKey
from apps.vault.registry import KeyScope
from apps.vault.services.data_keys import live_keys, rewrap
from apps.vault.services.key_holders import require_key_on_all_processes
from apps.vault.services.master_keys import check_master_key, keyring
from apps.vault.services.reseal import reseal_legacy_platform_secrets


@dataclass(frozen=True)
class MasterRotation:
    """Result of a run: number of rewrapped data keys, and the retired master keys."""

    rewrapped_count: int
    retired_key_ids: tuple[str, ...]


def rotate_master_key(
    *,
    actor: ActorLike,
    at: datetime,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    force: bool = False,
) -> MasterRotation:
    """Wrap every data key under the current master key, then retire the earlier ones. O(tenants).

    Idempotent. Locks: per tenant its data keys; at the end the earlier master keys. ``force``: even if running
    processes lack the key. Raises MasterKeyInvalid, MasterKeyNotEverywhere.
    """
    # Registers the key: from now on a process without it refuses to start.
    master_keys = check_master_key()
    if not force:
        require_key_on_all_processes(master_keys.current.label)
    tenants = list(Tenant.objects.order_by("pk").values_list("pk", flat=True))
    rewrapped_count = _rewrap_scope(None, actor, at)
    for number, tenant_id in enumerate(tenants, 1):
        rewrapped_count += _rewrap_scope(tenant_id, actor, at)
        progress(number, len(tenants))
    if not force:  # a process that was starting when this began has published its keys by now
        require_key_on_all_processes(master_keys.current.label)
    return MasterRotation(rewrapped_count, _retire(actor, at))


def _rewrap_scope(tenant_id: UUID | None, actor: ActorLike, at: datetime) -> int:
    """Rewrap one owner's data keys, in one transaction with the audit record."""
    scope = KeyScope.TENANT if tenant_id else KeyScope.PLATFORM
    if tenant_id is None:
        reseal_legacy_platform_secrets(at=at)
    with _tenant_transaction(tenant_id):
        stale = [row for row in live_keys(scope).select_for_update(no_key=True) if _is_stale(row)]
        for row in stale:
            rewrap(row, scope)
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
    """Retire the master keys that no data key is wrapped under. Waits for transactions that are wrapping under one."""
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
        retired = tuple(row.key_id for row in earlier if row.key_id not in still_used)
        MasterKey.objects.filter(key_id__in=retired).update(retired_at=at)
        if retired:
            record_platform(
                action="vault.master_key_rotated",
                actor=actor,
                entity=("master_key", keyring().current.label),
                at=at,
                detail={"retired": list(retired)},
            )
    return retired


def _labels_in_use(tenant_id: UUID | None) -> set[str]:
    scope = KeyScope.TENANT if tenant_id else KeyScope.PLATFORM
    with _tenant_transaction(tenant_id):
        key_ids = [parse_ciphertext(bytes(row.wrapped_key)).key_id for row in live_keys(scope)]
    # The first format has no key id: it could be any of them, so all stay live.
    if None in key_ids:
        return set(MasterKey.objects.values_list("key_id", flat=True))
    return {key_id.hex() for key_id in key_ids if key_id}


@contextmanager
def _tenant_transaction(tenant_id: UUID | None) -> Iterator[None]:
    with acting_in(tenant_id) if tenant_id else nullcontext(), transaction.atomic():
        yield


def _is_stale(row: TenantKey | PlatformKey) -> bool:
    return parse_ciphertext(bytes(row.wrapped_key)).key_id != keyring().current.id
