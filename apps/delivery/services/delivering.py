"""Processing the due deliveries of one destination: lease, send, settle."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from apps.core import clock
from apps.delivery.channels import Channel, Job, Result, Verdict
from apps.delivery.services.leasing import Lease, lease_due
from apps.delivery.services.scheduling import DELIVER, reschedule_destination
from apps.delivery.services.settling import settle
from apps.events import jobs
from apps.tenancy import acting_in

# Plus one more lease (2 s and a request of 15 s), this stays below the task's soft time limit (40 s).
BUDGET_SECONDS = 20.0
# A lease is used for so long, then its results are recorded and the rest is released: plus one more request of 15 s,
# this stays below ``leasing.LEASE``.
LEASE_SECONDS = 2.0


def deliver_due(
    *,
    tenant_id: UUID,
    destination_id: UUID,
    rng: random.Random,
    channel: Channel | None = None,
    now: Callable[[], datetime] = clock.now,
) -> int:
    """Attempt the due deliveries of this destination and set its next due time; returns the number of attempts.

    May run concurrently. No transaction is open during network I/O. ``channel`` replaces the registered one.
    """
    stop_at = time.monotonic() + BUDGET_SECONDS
    attempts, size = 0, 1
    while True:
        lease = lease_due(
            tenant_id=tenant_id, destination_id=destination_id, most=size, at=now(), channel=channel
        )
        if lease is None:
            break
        results = _send(lease, now=now)
        settle(lease=lease, results=results, at=now(), rng=rng)
        attempts += len(results)
        # As many as this receiver answers in the time of a lease: a slow one leaves the others to further workers.
        size = 2 * size if len(results) == len(lease.jobs) else len(results)
        if time.monotonic() > stop_at:
            jobs.send(DELIVER, tenant_id=str(tenant_id), ref=str(destination_id))
            break
    with acting_in(tenant_id):
        reschedule_destination(destination_id=destination_id)
    return attempts


def _send(lease: Lease, *, now: Callable[[], datetime]) -> list[tuple[Job, Result]]:
    """One after the other, at least one, until ``LEASE_SECONDS`` have passed or the receiver is slow or gone."""
    stop_at = time.monotonic() + LEASE_SECONDS
    results: list[tuple[Job, Result]] = []
    for job in lease.jobs:
        result = lease.sender.send(job, at=now())
        results.append((job, result))
        if result.is_slow or result.verdict is Verdict.GONE or time.monotonic() > stop_at:
            break
    return results
