"""CA certificate, enrollment, renewal and config of agents."""

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.agents.services import (
    EnrollmentRequest,
    IssuedCertificate,
    authority_certificate,
    build_config,
    config_version,
    request_enrollment,
    request_renewal,
)
from apps.agents.tokens import parse_secret
from apps.core import clock
from apps.ingest import limits
from apps.ingest.api.base import caller, endpoint, small_body_of
from apps.ingest.api.peer import client_certificate, source_address
from apps.tenancy import acting_in


class EnrollBody(msgspec.Struct, frozen=True):
    token: str
    csr_pem: str
    agent_version: str = ""
    hostname: str = ""
    sealing_public_key: str = ""


class RenewBody(msgspec.Struct, frozen=True):
    csr_pem: str


@endpoint("GET")
def authority(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """The CA certificate. An enrolling agent trusts it only if its fingerprint is the one in the token."""
    return JsonResponse({"ca_pem": authority_certificate(at=clock.now())})


@endpoint("POST")
def enroll(request: HttpRequest) -> HttpResponse:
    """Issue a certificate for a one-time token and a CSR."""
    source = source_address(request)
    limits.admit_enrollment(source=source)
    body = small_body_of(request, EnrollBody)
    enrollment = EnrollmentRequest(
        token=parse_secret(body.token),
        csr_pem=body.csr_pem,
        agent_version=body.agent_version,
        hostname=body.hostname,
        sealing_public_key=body.sealing_public_key,
        source=source,
    )
    return _certificate_response(request_enrollment(enrollment, at=clock.now()))


@endpoint("POST")
def renew(request: HttpRequest) -> HttpResponse:
    """Issue a new certificate; the current one authenticates the request, up to 30 days after its expiry."""
    identity = caller(request, for_renewal=True)
    limits.admit_request(tenant_id=identity.tenant_id, agent_id=identity.agent_id)
    body = small_body_of(request, RenewBody)
    issued = request_renewal(
        identity=identity, der=client_certificate(request), csr_pem=body.csr_pem, at=clock.now()
    )
    return _certificate_response(issued)


@endpoint("GET")
def config(request: HttpRequest) -> HttpResponse:
    """The agent's complete configuration, or 304 when it has this version."""
    identity = caller(request)
    limits.admit_request(tenant_id=identity.tenant_id, agent_id=identity.agent_id)
    known, at = request.headers.get("If-None-Match", ""), clock.now()
    with acting_in(identity.tenant_id):
        # Computing the version decrypts no passwords, and agents poll often.
        if known and known == f'"{config_version(agent_id=identity.agent_id, at=at)}"':
            return HttpResponse(status=304, headers={"ETag": known})
        version, document = build_config(agent_id=identity.agent_id, at=at)
    return JsonResponse(document, headers={"ETag": f'"{version}"'})


def _certificate_response(issued: IssuedCertificate) -> JsonResponse:
    return JsonResponse(
        {
            "agent_id": str(issued.agent_id),
            "tenant_id": str(issued.tenant_id),
            "certificate_pem": issued.certificate_pem,
            "ca_pem": issued.ca_pem,
            "not_after": issued.not_after.isoformat(),
        }
    )
