"""Recording the results of a lease and their consequences, in one transaction."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import F

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.messages import Message
from apps.delivery.channels import Job, Result, Verdict, metrics_of
from apps.delivery.choices import DeadReason, DeliveryState, EventType, Outcome, PauseReason
from apps.delivery.models import Attempt, Delivery, Destination
from apps.delivery.retries import delay_after
from apps.delivery.services.destinations import dead_letter_pending
from apps.delivery.services.leasing import Lease
from apps.delivery.services.writing import write_attempts, write_deliveries
from apps.incidents import services as incidents
from apps.tenancy import acting_in

log = structlog.get_logger(__name__)

PAUSE_AFTER = timedelta(hours=120)
SLOW_FAILURES_BEFORE_BACKOFF = 3
BACKOFF = timedelta(seconds=30)
CATCH_UP_FAILURES = 5


def settle(
    *, lease: Lease, results: Sequence[tuple[Job, Result]], at: datetime, rng: random.Random
) -> int:
    """Record the attempts, update their deliveries and release those that were not attempted; returns the number of
    updated deliveries: another lease may hold them meanwhile. The attempts themselves are recorded in any case.

    Locks: the destination's row, then those of its deliveries.
    """
    with acting_in(lease.tenant_id):
        destination = Destination.objects.select_for_update(no_key=True).get(
            pk=lease.destination_id
        )
        leased = (
            Delivery.objects.select_for_update()
            .filter(
                pk__in=[job.delivery_id for job in lease.jobs],
                state=DeliveryState.LEASED,
                lease_token=lease.id,
            )
            .defer("body")
        )
        held = {delivery.id: delivery for delivery in leased}
        settled = _Settlement(destination, at, rng)
        for job, result in results:
            delivery = held.pop(job.delivery_id, None)
            if delivery is None:
                log.warning("delivery_lease_lost", attempt=str(job.attempt_id))
            else:
                settled.apply(delivery, job, result)
        write_attempts(results, at)
        write_deliveries(settled.deliveries, lease_id=lease.id)
        _release(lease, set(held))
        settled.finish()
    metrics = metrics_of(destination.channel)
    for _, result in results:
        metrics.attempts.labels(str(result.outcome)).inc()
        metrics.seconds.observe(result.duration_ms / 1000)
    return len(settled.deliveries)


def _release(lease: Lease, delivery_ids: set[UUID]) -> None:
    """Give back what was not sent: as if it had not been leased."""
    if not delivery_ids:
        return
    attempt_ids = [job.attempt_id for job in lease.jobs if job.delivery_id in delivery_ids]
    Attempt.objects.filter(pk__in=attempt_ids, outcome=Outcome.SENDING).delete()
    Delivery.objects.filter(pk__in=delivery_ids).update(
        state=DeliveryState.PENDING,
        lease_token=None,
        leased_until=None,
        attempt_count=F("attempt_count") - 1,
    )


class _Settlement:
    """What the results of one lease change: applied in their order to the locked rows, then written."""

    def __init__(self, destination: Destination, at: datetime, rng: random.Random) -> None:
        self.destination, self._at, self._rng = destination, at, rng
        self.deliveries: list[Delivery] = []
        self._entries: list[incidents.DeliveryEntry] = []
        self._former_pause = destination.pause_reason
        self._has_recovered = False

    def apply(self, delivery: Delivery, job: Job, result: Result) -> None:
        self.deliveries.append(delivery)
        if result.verdict is Verdict.DELIVERED:
            self._deliver(delivery, job)
        else:
            self._fail(delivery, job, result)

    def finish(self) -> None:
        """Write the destination and everything else. Released deliveries are pending again by now."""
        destination = self.destination
        destination.save(
            update_fields=[
                *("last_success_at", "failing_since", "slow_failures", "backoff_until"),
                *("pause_reason", "paused_at"),
            ]
        )
        if self._has_recovered:
            self._catch_up()
        dead_letters = 0
        if destination.deleted_at is not None:
            dead_letter_pending(
                destination=destination, reason=DeadReason.ENDPOINT_DELETED, at=self._at
            )
        elif destination.is_given_up:
            dead_letters = dead_letter_pending(
                destination=destination, reason=DeadReason.ENDPOINT_PAUSED, at=self._at
            )
        if destination.pause_reason != self._former_pause:
            self._audit_pause(dead_letters)
        incidents.note_deliveries(self._entries, at=self._at)

    def _deliver(self, delivery: Delivery, job: Job) -> None:
        destination = self.destination
        is_first = delivery.delivered_at is None
        delivery.state = DeliveryState.DELIVERED
        delivery.delivered_at = delivery.delivered_at or self._at
        delivery.next_attempt_at, delivery.dead_at, delivery.dead_reason = None, None, ""
        self._has_recovered = self._has_recovered or destination.failing_since is not None
        destination.last_success_at, destination.failing_since = self._at, None
        destination.slow_failures, destination.backoff_until = 0, None
        if is_first:
            self._note("incidents.timeline.delivery_accepted", delivery, job)

    def _fail(self, delivery: Delivery, job: Job, result: Result) -> None:
        self._record_failure(result)
        delivery.failure_count += 1
        delay = delay_after(delivery.failure_count, rng=self._rng, retry_after=result.retry_after)
        reason = self._final_reason(delivery, result)
        if reason is None and delay is None:
            reason = DeadReason.EXHAUSTED
        if reason is None and delay is not None:
            delivery.state = DeliveryState.PENDING
            delivery.next_attempt_at = self._at + delay
            return
        delivery.state, delivery.next_attempt_at = DeliveryState.DEAD, None
        delivery.dead_at, delivery.dead_reason = self._at, str(reason)
        self._note("incidents.timeline.delivery_failed", delivery, job)

    def _record_failure(self, result: Result) -> None:
        destination = self.destination
        destination.failing_since = destination.failing_since or self._at
        destination.slow_failures = destination.slow_failures + 1 if result.is_slow else 0
        backs_off = destination.slow_failures >= SLOW_FAILURES_BEFORE_BACKOFF
        destination.backoff_until = self._at + BACKOFF if backs_off else None

    def _final_reason(self, delivery: Delivery, result: Result) -> DeadReason | None:
        """Why this failure is final, whatever the retry schedule says; None if it is not."""
        destination = self.destination
        if destination.deleted_at is not None:
            return DeadReason.ENDPOINT_DELETED
        if delivery.event_type == EventType.PING:
            return DeadReason.TEST_FAILED
        if result.verdict is Verdict.REFUSED:
            return DeadReason.REFUSED
        if destination.is_given_up:
            return DeadReason.ENDPOINT_PAUSED
        failing_for = self._at - (destination.failing_since or self._at)
        if result.verdict is Verdict.GONE:
            destination.pause_reason = PauseReason.GONE
        elif failing_for >= PAUSE_AFTER:
            destination.pause_reason = PauseReason.FAILING
        else:
            return None
        destination.paused_at = self._at
        return DeadReason.ENDPOINT_PAUSED

    def _catch_up(self) -> None:
        """Retry pending deliveries at once after the receiver has recovered.

        Only those early in the retry schedule: an event that the receiver rejects keeps its three days of retries.
        """
        Delivery.objects.filter(
            destination=self.destination,
            state=DeliveryState.PENDING,
            failure_count__range=(1, CATCH_UP_FAILURES),
            next_attempt_at__gt=self._at,
        ).update(next_attempt_at=self._at)

    def _audit_pause(self, dead_letters: int) -> None:
        destination = self.destination
        reason = str(destination.pause_reason)
        log.warning("destination_paused", destination=str(destination.id), reason=reason)
        record(
            action=f"{destination.channel}_endpoint.paused",
            actor=Actor.system("delivery"),
            entity=destination.audited_as,
            at=self._at,
            detail={"reason": reason, "dead_letters": dead_letters},
        )

    def _note(self, code: str, delivery: Delivery, job: Job) -> None:
        """A timeline entry of the incident; a test has none."""
        if delivery.incident_id is None:
            return
        destination = self.destination
        params = {"event": delivery.event_type, "endpoint": destination.name}
        detail = {
            "channel": destination.channel,
            "endpoint": str(destination.id),
            "attempt": job.number,
            "state": str(delivery.state),
        }
        if delivery.dead_reason:
            detail["reason"] = delivery.dead_reason
        self._entries.append((delivery.incident_id, Message(code, params), detail))
