"""Writing the audit log: in the transaction of the audited action, taking the chain lock last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db import transaction

from apps.audit.chain import GENESIS, digest_of, normalize_for_jsonb
from apps.audit.models import Head, PlatformHead, PlatformRecord, Record
from apps.events import due
from apps.tenancy.context import require_tenant_id

#: Due kind and task name of the verification of a tenant's chain.
VERIFY = "audit.verify"
VERIFY_EVERY = timedelta(days=1)


class ActorLike(Protocol):
    """The interface of ``apps.authorization.actors.Actor``."""

    def as_dict(self) -> dict[str, str]: ...


def lock_chain() -> Head:
    """Lock the head of the current tenant's chain until commit. Needed before writing to the platform's chain too."""
    tenant_id = require_tenant_id()
    Head.objects.bulk_create([Head(tenant_id=tenant_id, digest=GENESIS)], ignore_conflicts=True)
    return Head.objects.select_for_update().get(tenant_id=tenant_id)


def record(
    *,
    action: str,
    actor: ActorLike,
    entity: tuple[str, object],
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> Record:
    """Append to the current tenant's chain. Call it last: it locks the chain's head until commit."""
    tenant_id = require_tenant_id()
    head = lock_chain()
    fields = _next_fields(head, action=action, actor=actor, entity=entity, at=at, detail=detail)
    row = Record.objects.create(**fields)
    if head.sequence == 0:
        due.schedule(VERIFY, at=at + VERIFY_EVERY, tenant_id=tenant_id)
    head.sequence, head.digest = fields["sequence"], fields["digest"]
    head.save(update_fields=["sequence", "digest"])
    return row


@dataclass(frozen=True)
class PendingRecord:
    """The arguments of ``record`` for one of many actions recorded together."""

    action: str
    actor: ActorLike
    entity: tuple[str, object]
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


def record_all(pending: Iterable[PendingRecord]) -> int:
    """Append many records to the current tenant's chain in order; returns their number. Locks as ``record``."""
    tenant_id = require_tenant_id()
    head = lock_chain()
    if head.sequence == 0:
        pending = list(pending)
        if pending:
            due.schedule(VERIFY, at=pending[0].at + VERIFY_EVERY, tenant_id=tenant_id)
    rows = []
    for record_args in pending:
        fields = _next_fields(
            head,
            action=record_args.action,
            actor=record_args.actor,
            entity=record_args.entity,
            at=record_args.at,
            detail=record_args.detail,
        )
        rows.append(Record(**fields))
        head.sequence, head.digest = fields["sequence"], fields["digest"]
    Record.objects.bulk_create(rows, batch_size=2_000)
    head.save(update_fields=["sequence", "digest"])
    return len(rows)


def record_platform(
    *,
    action: str,
    actor: ActorLike,
    entity: tuple[str, object],
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> PlatformRecord:
    """Append to the platform's chain, in a transaction of its own if there is none."""
    with transaction.atomic():
        PlatformHead.objects.bulk_create([PlatformHead(digest=GENESIS)], ignore_conflicts=True)
        head = PlatformHead.objects.select_for_update().get(pk=1)
        fields = _next_fields(head, action=action, actor=actor, entity=entity, at=at, detail=detail)
        row = PlatformRecord.objects.create(**fields)
        head.sequence, head.digest = fields["sequence"], fields["digest"]
        head.save(update_fields=["sequence", "digest"])
    return row


def _next_fields(
    head: Head | PlatformHead,
    *,
    action: str,
    actor: ActorLike,
    entity: tuple[str, object],
    at: datetime,
    detail: Mapping[str, Any] | None,
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "sequence": head.sequence + 1,
        "at": at,
        "action": action,
        "actor": actor.as_dict(),
        "entity_type": entity[0],
        "entity_id": str(entity[1]),
        "detail": normalize_for_jsonb(detail or {}),
        "previous": bytes(head.digest),
    }
    fields["digest"] = digest_of(**fields)
    return fields
