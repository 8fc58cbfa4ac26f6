"""Leasing due deliveries of one destination for one attempt each, in a transaction of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from apps.delivery.channels import Channel, Job, Sender, channel_named
from apps.delivery.choices import DeliveryState, Outcome
from apps.delivery.models import Attempt, Delivery, Destination
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

# Longer than a lease is used (2 s) and a whole request (15 s); after it, another worker retries for one that died.
LEASE = timedelta(seconds=30)

# Two branches, because each of them reads its own partial index in order.
_LEASE = """
WITH expired AS (
    SELECT id FROM delivery_delivery
    WHERE destination_id = %(destination)s AND state = 'leased' AND leased_until <= %(at)s
    ORDER BY leased_until LIMIT %(most)s FOR UPDATE SKIP LOCKED
), due AS (
    SELECT id FROM delivery_delivery
    WHERE destination_id = %(destination)s AND state = 'pending' AND next_attempt_at <= %(at)s
    ORDER BY next_attempt_at, created_at, id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), taken AS (
    SELECT id, TRUE AS is_expired FROM expired UNION ALL SELECT id, FALSE FROM due LIMIT %(most)s
)
UPDATE delivery_delivery d
SET state = 'leased', lease_token = %(lease)s, leased_until = %(until)s, attempt_count = attempt_count + 1
FROM taken WHERE d.id = taken.id
RETURNING d.id, taken.is_expired, d.attempt_count, d.event_id, d.event_type, d.incident_id, d.hop, d.body,
    d.body_sha256, d.next_attempt_at, d.created_at
"""


@dataclass(frozen=True)
class Lease:
    """The right to attempt these deliveries until the lease expires, and what sends them."""

    id: UUID
    tenant_id: UUID
    destination_id: UUID
    jobs: tuple[Job, ...]
    sender: Sender


def lease_due(
    *,
    tenant_id: UUID,
    destination_id: UUID,
    most: int,
    at: datetime,
    channel: Channel | None = None,
) -> Lease | None:
    """Lease up to ``most`` of the destination's most overdue deliveries and record their attempts; None if there are
    none, or if it gets as many requests as it may.

    Locks: the destination's row, then those of its deliveries, in the same order as ``settle``.
    """
    with acting_in(tenant_id):
        if not Tenant.objects.filter(pk=tenant_id, is_active=True).exists():
            return None
        destination = (
            Destination.objects.select_for_update(no_key=True)
            .filter(pk=destination_id, deleted_at=None, pause_reason="")
            .first()
        )
        if destination is None:
            return None
        channel = channel or channel_named(destination.channel)
        size = min(most, channel.max_lease, _capacity(destination, channel, at))
        jobs = _take(destination, size, at) if size else []
        if not jobs:
            return None
        return Lease(
            id=jobs[0].lease_id,
            tenant_id=tenant_id,
            destination_id=destination.id,
            jobs=tuple(jobs),
            sender=channel.open(destination, at=at),
        )


def _capacity(destination: Destination, channel: Channel, at: datetime) -> int:
    """How many deliveries one more lease may hold. A slow receiver gets one request at a time with pauses, to keep
    workers free.
    """
    if destination.backoff_until is not None and destination.backoff_until > at:
        return 0
    is_slow = destination.slow_failures > 0
    leases = (
        Delivery.objects.filter(
            destination=destination, state=DeliveryState.LEASED, leased_until__gt=at
        )
        .values("lease_token")
        .distinct()
        .count()
    )
    if leases >= (1 if is_slow else channel.max_senders):
        return 0
    return 1 if is_slow else channel.max_lease


def _take(destination: Destination, most: int, at: datetime) -> list[Job]:
    lease_id = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            _LEASE,
            {
                "destination": destination.id,
                "at": at,
                "until": at + LEASE,
                "lease": lease_id,
                "most": most,
            },
        )
        # In the order of their times: expired leases first.
        rows = sorted(
            cursor.fetchall(), key=lambda row: (not row[1], row[9] or at, row[10], row[0])
        )
    if interrupted := [row[0] for row in rows if row[1]]:
        _close_interrupted(interrupted, at)
    jobs = [_job(row, destination, lease_id) for row in rows]
    Attempt.objects.bulk_create(
        Attempt(
            id=job.attempt_id,
            tenant_id=destination.tenant_id,
            delivery_id=job.delivery_id,
            number=job.number,
            started_at=at,
            body_sha256=row[8],
        )
        for job, row in zip(jobs, rows, strict=True)
    )
    return jobs


def _job(row: tuple[Any, ...], destination: Destination, lease_id: UUID) -> Job:
    delivery_id, _, number, event_id, event_type, incident_id, hop, body, *_rest = row
    return Job(
        tenant_id=destination.tenant_id,
        destination_id=destination.id,
        delivery_id=delivery_id,
        lease_id=lease_id,
        attempt_id=uuid4(),
        number=number,
        event_id=event_id,
        event_type=event_type,
        incident_id=incident_id,
        hop=hop,
        body=bytes(body),
    )


def _close_interrupted(delivery_ids: list[UUID], at: datetime) -> None:
    """The sending process died: whether the receiver got the events is unknown."""
    unfinished = Attempt.objects.filter(delivery__in=delivery_ids, outcome=Outcome.SENDING)
    unfinished.update(outcome=Outcome.INTERRUPTED, finished_at=at, error_code="interrupted")
