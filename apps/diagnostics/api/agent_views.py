"""`/ingest/v1/diagnostics`: agents fetch jobs and report their results."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core import clock
from apps.diagnostics import services
from apps.ingest import limits
from apps.ingest.api.base import caller, endpoint, small_body_of
from apps.tenancy import acting_in

_NO_NUL = r"^[^\x00]*\Z"
Text100 = Annotated[str, msgspec.Meta(max_length=100, pattern=_NO_NUL)]
Text200 = Annotated[str, msgspec.Meta(max_length=200, pattern=_NO_NUL)]
Text300 = Annotated[str, msgspec.Meta(max_length=300, pattern=_NO_NUL)]
Outcome = Literal[
    "ok",
    "wrong_credentials",
    "unreachable",
    "refused",
    "tls_failed",
    "timeout",
    "api_disabled",
    "unsupported",
    "no_credentials",
]


class Result(msgspec.Struct, frozen=True):
    """An agent's result. Unknown keys, of a newer agent, are ignored."""

    outcome: Outcome
    credential_set: UUID | None = None
    identity: Text200 = ""
    version: Text100 = ""
    board_name: Text100 = ""
    latency_ms: Annotated[float, msgspec.Meta(ge=0, le=600_000)] | None = None
    detail: Text300 = ""


@endpoint("GET")
def next_job(request: HttpRequest) -> HttpResponse:
    """The next job, or 204."""
    identity = caller(request)
    limits.admit_request(tenant_id=identity.tenant_id, agent_id=identity.agent_id)
    with acting_in(identity.tenant_id):
        job = services.claim_test(agent_id=identity.agent_id, at=clock.now())
    return HttpResponse(status=204) if job is None else JsonResponse(job)


@endpoint("POST")
def result(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Store the result of a job."""
    identity = caller(request)
    limits.admit_request(tenant_id=identity.tenant_id, agent_id=identity.agent_id)
    values = msgspec.structs.asdict(small_body_of(request, Result))
    values["accepted_credential_set"] = values.pop("credential_set")
    with acting_in(identity.tenant_id):
        services.record_result(
            test_id=job_id, agent_id=identity.agent_id, result=values, at=clock.now()
        )
    return JsonResponse({"id": str(job_id)})
