"""Working off one endpoint: lease, send, settle, until nothing is due."""

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
from apps.webhooks.services.rearming import DELIVER, rearm
from apps.webhooks.services.sending import send
from apps.webhooks.services.settling import settle

# With one more request of 15 s it stays below the task's soft limit (40 s).
BUDGET_SECONDS = 20.0


def deliver_due(
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    client: EgressClient,
    rng: random.Random,
    now: Callable[[], datetime] = clock.now,
) -> int:
    """Attempt what is due at this endpoint and set its next due time; returns how many attempts.

    Several may run at once. No transaction is open while the network is used.
    """
    stop_at = time.monotonic() + BUDGET_SECONDS
    attempts = 0
    while True:
        job = lease_next(tenant_id=tenant_id, endpoint_id=endpoint_id, at=now())
        if job is None:
            break
        result = send(job, client=client, at=now())
        settle(job=job, result=result, at=now(), rng=rng)
        attempts += 1
        if time.monotonic() > stop_at:
            jobs.send(DELIVER, tenant_id=str(tenant_id), ref=str(endpoint_id))
            break
    with acting_in(tenant_id):
        rearm(endpoint_id=endpoint_id)
    return attempts
