"""`POST /ingest/v1/batch` and `POST /ingest/v1/heartbeat`."""

import math
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, JsonResponse

from agent.protocol.batch import WAITED
from apps.agents.services import config_version
from apps.core import clock
from apps.ingest import counting, limits
from apps.ingest.api.edge import announced_length, body_of, caller, endpoint, small_body_of
from apps.ingest.api.peer import source_address
from apps.ingest.pending import pending_count
from apps.ingest.services import accept_batch, accept_heartbeat
from apps.ingest.services.pulse import WireHeartbeat
from apps.ingest.wire import parse_batch
from apps.tenancy import acting_in

LONGEST_WAIT_SECONDS = 366 * 86_400.0


@endpoint("POST")
def batch(request: HttpRequest) -> HttpResponse:
    """Take in a batch; 200 means that everything acceptable is committed."""
    identity = caller(request)
    whose = {"tenant_id": identity.tenant_id, "agent_id": identity.agent_id}
    announced = announced_length(request)
    with limits.in_flight(identity.agent_id):
        limits.admit_request(**whose, wire_bytes=announced or 0)
        body = body_of(request)
        if announced is None:
            limits.admit_bytes(**whose, wire_bytes=len(body))
        parsed = parse_batch(body)
        limits.admit_items(**whose, number=len(parsed.metrics) + len(parsed.events))
        at = clock.now()
        accepted = accept_batch(
            identity=identity, batch=parsed, body=body, at=at, waited=waited(request)
        )
    counting.count_batch(parsed, accepted, at)
    return JsonResponse(
        accepted.as_dict(),
        headers={
            "X-ISPVM-Accepted-Metrics": str(accepted.metrics),
            "X-ISPVM-Accepted-Events": str(accepted.events),
        },
    )


def waited(request: HttpRequest) -> timedelta:
    """How long the batch waited on the agent, as it says; what makes no sense is no wait."""
    try:
        seconds = float(request.headers.get(WAITED, "0"))
    except ValueError:
        return timedelta(0)
    if not math.isfinite(seconds):
        return timedelta(0)
    return timedelta(seconds=min(max(0.0, seconds), LONGEST_WAIT_SECONDS))


@endpoint("POST")
def heartbeat(request: HttpRequest) -> HttpResponse:
    """Take in a heartbeat; answers the server's time and the config version that the agent should have."""
    identity = caller(request)
    limits.admit_heartbeat(agent_id=identity.agent_id)
    beat = small_body_of(request, WireHeartbeat)
    at = clock.now()
    accept_heartbeat(identity=identity, beat=beat, source=source_address(request), at=at)
    with acting_in(identity.tenant_id):
        version = config_version(agent_id=identity.agent_id, at=at)
        pending = pending_count(identity.agent_id, at)
    return JsonResponse(
        {"server_time": at.isoformat(), "config_version": version, "pending_diagnostics": pending}
    )
