"""Recording the result of an attempt and its consequences."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.messages import Message
from apps.events import due
from apps.incidents import services as incidents
from apps.tenancy import acting_in
from apps.webhooks.choices import (
    DeadReason,
    DeliveryState,
    EventType,
    Outcome,
    PauseReason,
)
from apps.webhooks.metrics import ATTEMPTS, SECONDS
from apps.webhooks.models import Attempt, Delivery, Endpoint
from apps.webhooks.retries import delay_after
from apps.webhooks.services.endpoints import dead_letter_pending
from apps.webhooks.services.leasing import Job
from apps.webhooks.services.scheduling import DELIVER, schedule_endpoint
from apps.webhooks.services.sending import GONE, Result

log = structlog.get_logger(__name__)

PAUSE_AFTER = timedelta(hours=120)
SLOW_FAILURES_BEFORE_BACKOFF = 3
BACKOFF = timedelta(seconds=30)
CATCH_UP_FAILURES = 5


def record_result(*, job: Job, result: Result, at: datetime, rng: random.Random) -> bool:
    """Record the attempt and update the delivery; False if another attempt holds the lease.

    Locks: the endpoint's row, then the delivery's. The attempt itself is recorded in any case.
    """
    ATTEMPTS.labels(str(result.outcome)).inc()
    SECONDS.observe(result.duration_ms / 1000)
    with acting_in(job.tenant_id):
        endpoint = Endpoint.objects.select_for_update(no_key=True).get(pk=job.endpoint_id)
        leased = Delivery.objects.select_for_update().filter(
            pk=job.delivery_id, state=DeliveryState.LEASED, lease_token=job.attempt_id
        )
        delivery = leased.first()
        _write_attempt(job, result, at)
        if delivery is None:
            log.warning("webhook_lease_lost", attempt=str(job.attempt_id))
            return False
        if result.outcome is Outcome.DELIVERED:
            _deliver(endpoint, delivery, job, at)
        else:
            delay = delay_after(delivery.failure_count + 1, rng=rng, retry_after=result.retry_after)
            _fail(endpoint, delivery, job, result, delay=delay, at=at)
    return True


def _write_attempt(job: Job, result: Result, at: datetime) -> None:
    retry_after = result.retry_after
    Attempt.objects.filter(pk=job.attempt_id).update(
        finished_at=at,
        outcome=result.outcome,
        duration_ms=result.duration_ms,
        address=result.address,
        status=result.status,
        error_code=result.error_code,
        error_detail=result.error_detail,
        is_permanent=result.is_permanent,
        retry_after_seconds=None if retry_after is None else int(retry_after.total_seconds()),
        certificate_sha256=result.certificate_sha256,
        response_head=result.response_head,
    )


def _deliver(endpoint: Endpoint, delivery: Delivery, job: Job, at: datetime) -> None:
    is_first = delivery.delivered_at is None
    was_failing = endpoint.failing_since is not None
    _update_leased(
        delivery,
        state=DeliveryState.DELIVERED,
        delivered_at=delivery.delivered_at or at,
        next_attempt_at=None,
        dead_at=None,
        dead_reason="",
    )
    Endpoint.objects.filter(pk=endpoint.pk).update(
        last_success_at=at, failing_since=None, slow_failures=0, backoff_until=None
    )
    if was_failing:
        _catch_up(endpoint, at)
    if is_first:
        _add_timeline_entry(
            delivery=delivery,
            at=at,
            message=Message(
                "incidents.timeline.webhook_accepted",
                {"event": delivery.event_type, "endpoint": endpoint.name},
            ),
            detail={"endpoint": str(endpoint.id), "attempt": job.number, "state": "delivered"},
        )


def _catch_up(endpoint: Endpoint, at: datetime) -> None:
    """Retry pending deliveries at once after the receiver has recovered.

    Only those early in the retry schedule: an event that the receiver rejects keeps its three days of retries.
    """
    pending = Delivery.objects.filter(
        endpoint=endpoint,
        state=DeliveryState.PENDING,
        failure_count__range=(1, CATCH_UP_FAILURES),
        next_attempt_at__gt=at,
    )
    if pending.update(next_attempt_at=at):
        schedule_endpoint(endpoint_id=endpoint.id, at=at)


def _fail(
    endpoint: Endpoint,
    delivery: Delivery,
    job: Job,
    result: Result,
    *,
    delay: timedelta | None,
    at: datetime,
) -> None:
    _record_failure(endpoint, result, at)
    delivery.failure_count += 1
    reason = _final_reason(endpoint, delivery, result, at)
    if reason:
        _dead_letter(endpoint, delivery, job, reason, at)
        return
    if delay is None:
        _dead_letter(endpoint, delivery, job, DeadReason.EXHAUSTED, at)
        return
    _update_leased(
        delivery,
        state=DeliveryState.PENDING,
        next_attempt_at=at + delay,
        failure_count=delivery.failure_count,
    )
    due.schedule(DELIVER, at=at + delay, tenant_id=job.tenant_id, ref=str(endpoint.id))


def _record_failure(endpoint: Endpoint, result: Result, at: datetime) -> None:
    endpoint.failing_since = endpoint.failing_since or at
    endpoint.slow_failures = endpoint.slow_failures + 1 if result.is_slow else 0
    backs_off = endpoint.slow_failures >= SLOW_FAILURES_BEFORE_BACKOFF
    endpoint.backoff_until = at + BACKOFF if backs_off else None
    endpoint.save(update_fields=["failing_since", "slow_failures", "backoff_until"])


def _final_reason(
    endpoint: Endpoint, delivery: Delivery, result: Result, at: datetime
) -> DeadReason | None:
    """Why this failure is final, whatever the retry schedule says; None if it is not."""
    if endpoint.deleted_at is not None:
        return DeadReason.ENDPOINT_DELETED
    if delivery.event_type == EventType.PING:
        return DeadReason.TEST_FAILED
    if endpoint.pause_reason in (PauseReason.GONE, PauseReason.FAILING):
        return DeadReason.ENDPOINT_PAUSED
    if result.status == GONE:
        _pause(endpoint, PauseReason.GONE, at)
        return DeadReason.ENDPOINT_PAUSED
    if endpoint.failing_since is not None and at - endpoint.failing_since >= PAUSE_AFTER:
        _pause(endpoint, PauseReason.FAILING, at)
        return DeadReason.ENDPOINT_PAUSED
    return None


def _pause(endpoint: Endpoint, reason: PauseReason, at: datetime) -> None:
    endpoint.pause_reason, endpoint.paused_at = reason, at
    endpoint.save(update_fields=["pause_reason", "paused_at"])
    dead_letters = dead_letter_pending(endpoint=endpoint, reason=DeadReason.ENDPOINT_PAUSED, at=at)
    log.warning("webhook_endpoint_paused", endpoint=str(endpoint.id), reason=str(reason))
    record(
        action="webhook_endpoint.paused",
        actor=Actor.system("webhooks"),
        entity=("webhook_endpoint", endpoint.id),
        at=at,
        detail={"reason": str(reason), "dead_letters": dead_letters},
    )


def _dead_letter(
    endpoint: Endpoint, delivery: Delivery, job: Job, reason: DeadReason, at: datetime
) -> None:
    _update_leased(
        delivery,
        state=DeliveryState.DEAD,
        dead_at=at,
        dead_reason=reason,
        next_attempt_at=None,
        failure_count=delivery.failure_count,
    )
    _add_timeline_entry(
        delivery=delivery,
        at=at,
        message=Message(
            "incidents.timeline.webhook_failed",
            {"event": delivery.event_type, "endpoint": endpoint.name},
        ),
        detail={
            "endpoint": str(endpoint.id),
            "attempt": job.number,
            "state": "dead",
            "reason": str(reason),
        },
    )


def _update_leased(delivery: Delivery, **fields: object) -> None:
    """Compare-and-set on the lease. The row is locked, so a mismatch is a programming error."""
    updated = Delivery.objects.filter(
        pk=delivery.pk, state=DeliveryState.LEASED, lease_token=delivery.lease_token
    ).update(lease_token=None, leased_until=None, **fields)
    if updated != 1:
        raise RuntimeError("The lease of a locked delivery changed.")


def _add_timeline_entry(
    *, delivery: Delivery, at: datetime, message: Message, detail: Mapping[str, Any]
) -> None:
    """Add an entry to the incident that the delivery is about; a test has none."""
    if delivery.incident_id is not None:
        incidents.note_delivery(
            incident_id=delivery.incident_id, message=message, at=at, detail=detail
        )
