"""Processing the due deliveries of one endpoint: lease, send, record the result."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from apps.core import clock
from apps.core.http import EgressClient
from apps.events import jobs
from apps.tenancy import acting_in
from apps.webhooks.services.leasing import lease_next
from apps.webhooks.services.results import record_result
from apps.webhooks.services.scheduling import DELIVER, reschedule_endpoint
from apps.webhooks.services.sending import send

# Plus one more request of 15 s, this stays below the task's soft time limit (40 s).
BUDGET_SECONDS = 20.0


def deliver_due(
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    client: EgressClient,
    rng: random.Random,
    now: Callable[[], datetime] = clock.now,
) -> int:
    """Attempt the due deliveries of this endpoint and set its next due time; returns the number of attempts.

    May run concurrently. No transaction is open during network I/O.
    """
    stop_at = time.monotonic() + BUDGET_SECONDS
    attempts = 0
    while True:
        job = lease_next(tenant_id=tenant_id, endpoint_id=endpoint_id, at=now())
        if job is None:
            break
        result = send(job, client=client, at=now())
        record_result(job=job, result=result, at=now(), rng=rng)
        attempts += 1
        if time.monotonic() > stop_at:
            jobs.send(DELIVER, tenant_id=str(tenant_id), ref=str(endpoint_id))
            break
    with acting_in(tenant_id):
        reschedule_endpoint(endpoint_id=endpoint_id)
    return attempts
