"""Leasing one due delivery for one attempt, in a transaction of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import Q

from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.webhooks.choices import DeliveryState, Outcome
from apps.webhooks.models import Attempt, Delivery, Endpoint
from apps.webhooks.services.secrets import live_secrets

# Longer than a whole request (15 s); after it, another worker retries for one that died.
LEASE = timedelta(seconds=30)
MAX_IN_FLIGHT = 4


@dataclass(frozen=True)
class Job:
    """Everything one attempt needs, so that it uses no database connection while it waits for the network."""

    tenant_id: UUID
    endpoint_id: UUID
    delivery_id: UUID
    attempt_id: UUID
    number: int
    event_id: UUID
    event_type: str
    hop: int
    body: bytes
    url: str
    ca_pem: str
    live_secrets: tuple[str, ...]


def lease_next(*, tenant_id: UUID, endpoint_id: UUID, at: datetime) -> Job | None:
    """Lease the endpoint's most overdue delivery and create its attempt; None if none is available.

    Locks: the endpoint's row, then the delivery's, in the same order as ``record_result``.
    """
    with acting_in(tenant_id):
        if not Tenant.objects.filter(pk=tenant_id, is_active=True).exists():
            return None
        endpoint = (
            Endpoint.objects.select_for_update(no_key=True)
            .filter(pk=endpoint_id, deleted_at=None, pause_reason="")
            .first()
        )
        if endpoint is None or not _has_capacity(endpoint, at):
            return None
        delivery = (
            Delivery.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(endpoint=endpoint)
            .filter(
                Q(state=DeliveryState.PENDING, next_attempt_at__lte=at)
                | Q(state=DeliveryState.LEASED, leased_until__lte=at)
            )
            .order_by("next_attempt_at", "created_at", "id")
            .first()
        )
        if delivery is None:
            return None
        if delivery.state == DeliveryState.LEASED:
            _close_interrupted(delivery, at)
        attempt = _begin(delivery, at)
        return Job(
            tenant_id=tenant_id,
            endpoint_id=endpoint.id,
            delivery_id=delivery.id,
            attempt_id=attempt.id,
            number=attempt.number,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            hop=delivery.hop,
            body=bytes(delivery.body),
            url=endpoint.url,
            ca_pem=endpoint.ca_pem,
            live_secrets=tuple(live_secrets(endpoint=endpoint, at=at)),
        )


def _has_capacity(endpoint: Endpoint, at: datetime) -> bool:
    """Whether another request may be sent. A slow receiver gets one at a time with pauses, to keep workers free."""
    if endpoint.backoff_until is not None and endpoint.backoff_until > at:
        return False
    in_flight = Delivery.objects.filter(
        endpoint=endpoint, state=DeliveryState.LEASED, leased_until__gt=at
    ).count()
    return in_flight < (1 if endpoint.slow_failures else MAX_IN_FLIGHT)


def _close_interrupted(delivery: Delivery, at: datetime) -> None:
    """The sending process died: whether the receiver got the event is unknown."""
    unfinished = Attempt.objects.filter(delivery=delivery, outcome=Outcome.SENDING)
    unfinished.update(outcome=Outcome.INTERRUPTED, finished_at=at, error_code="interrupted")


def _begin(delivery: Delivery, at: datetime) -> Attempt:
    attempt = Attempt.objects.create(
        id=uuid4(),
        delivery=delivery,
        number=delivery.attempt_count + 1,
        started_at=at,
        body_sha256=delivery.body_sha256,
    )
    delivery.attempt_count = attempt.number
    delivery.state = DeliveryState.LEASED
    delivery.lease_token = attempt.id
    delivery.leased_until = at + LEASE
    delivery.save(update_fields=["attempt_count", "state", "lease_token", "leased_until"])
    return attempt
