"""`POST /ingest/v1/batch` and `POST /ingest/v1/heartbeat`."""

import math
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, JsonResponse

from agent.protocol.batch import WAITED_HEADER
from apps.agents.services import config_version
from apps.core import clock
from apps.ingest import limits, metrics
from apps.ingest.api.base import body_of, caller, content_length, endpoint, small_body_of
from apps.ingest.api.peer import source_address
from apps.ingest.pending import pending_count
from apps.ingest.schema import parse_batch
from apps.ingest.services import accept_batch, accept_heartbeat
from apps.ingest.services.heartbeat import Heartbeat
from apps.tenancy import acting_in

MAX_WAIT_SECONDS = 366 * 86_400.0


@endpoint("POST")
def batch(request: HttpRequest) -> HttpResponse:
    """Accept a batch; 200 means that everything valid is committed."""
    identity = caller(request)
    owner = {"tenant_id": identity.tenant_id, "agent_id": identity.agent_id}
    length = content_length(request)
    with limits.in_flight(identity.agent_id):
        limits.admit_request(**owner, body_bytes=length or 0)
        body = body_of(request)
        if length is None:
            limits.admit_bytes(**owner, body_bytes=len(body))
        parsed = parse_batch(body)
        limits.admit_items(**owner, number=len(parsed.metrics) + len(parsed.events))
        at = clock.now()
        accepted = accept_batch(
            identity=identity, batch=parsed, body=body, at=at, buffered_for=buffered_for(request)
        )
    metrics.count_batch(parsed, accepted, at)
    return JsonResponse(
        accepted.as_dict(),
        headers={
            "X-ISPVM-Accepted-Metrics": str(accepted.metrics),
            "X-ISPVM-Accepted-Events": str(accepted.events),
        },
    )


def buffered_for(request: HttpRequest) -> timedelta | None:
    """How long the batch was buffered on the agent, by its header; None without a valid one."""
    try:
        seconds = float(request.headers[WAITED_HEADER])
    except (KeyError, ValueError):
        return None
    if not math.isfinite(seconds):
        return None
    return timedelta(seconds=min(max(0.0, seconds), MAX_WAIT_SECONDS))


@endpoint("POST")
def heartbeat(request: HttpRequest) -> HttpResponse:
    """Accept a heartbeat; responds with the server's time and the config version that the agent should have."""
    identity = caller(request)
    limits.admit_heartbeat(agent_id=identity.agent_id)
    body = small_body_of(request, Heartbeat)
    at = clock.now()
    accept_heartbeat(identity=identity, heartbeat=body, source=source_address(request), at=at)
    with acting_in(identity.tenant_id):
        version = config_version(agent_id=identity.agent_id, at=at)
        pending = pending_count(identity.agent_id, at)
    return JsonResponse(
        {"server_time": at.isoformat(), "config_version": version, "pending_diagnostics": pending}
    )
