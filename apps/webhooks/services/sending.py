"""The HTTP request of an attempt: outside of any transaction and tenant."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.core.http import EgressClient, EgressError, Request
from apps.webhooks.choices import Outcome
from apps.webhooks.retries import read_retry_after
from apps.webhooks.services.leasing import Job
from apps.webhooks.signing import legacy_signature, standard_signature

SHOWN_RESPONSE = 1024
GONE = 410

# Failures that block a worker thread; the endpoint backs off after them.
SLOW_CODES = frozenset({"answer_timeout", "connect_timeout", "tls_timeout", "dns_timeout"})


@dataclass(frozen=True)
class Result:
    """The result of an attempt, as stored in the delivery log."""

    outcome: Outcome
    duration_ms: int = 0
    status: int | None = None
    error_code: str = ""
    error_detail: str = ""
    is_permanent: bool = False
    address: str = ""
    certificate_sha256: str = ""
    response_head: str = ""
    retry_after: timedelta | None = None

    @property
    def is_slow(self) -> bool:
        return self.error_code in SLOW_CODES


def send(job: Job, *, client: EgressClient, at: datetime) -> Result:
    """Sign and send the request. Never raises for failures; only 2xx is success."""
    request = Request("POST", job.url, headers_of(job, at=at), job.body, job.ca_pem)
    started = time.monotonic()
    try:
        response = client.send(request)
    except EgressError as error:
        return Result(
            outcome=Outcome.FAILED,
            duration_ms=round((time.monotonic() - started) * 1000),
            error_code=error.code,
            error_detail=error.message[:300],
            is_permanent=error.permanent,
            address=error.address,
        )
    is_success = 200 <= response.status < 300  # noqa: PLR2004  (the meaning of 2xx)
    text = "" if response.is_private else _printable(response.body[:SHOWN_RESPONSE])
    return Result(
        outcome=Outcome.DELIVERED if is_success else Outcome.REJECTED,
        duration_ms=response.elapsed_ms,
        status=response.status,
        error_code="" if is_success else f"status_{response.status}",
        is_permanent=response.status == GONE,
        address=response.address,
        certificate_sha256=response.certificate_sha256,
        response_head=text,
        retry_after=read_retry_after(response.headers.get("retry-after", ""), at=at),
    )


def headers_of(job: Job, *, at: datetime) -> dict[str, str]:
    """The headers of one attempt; ``at`` is its timestamp."""
    timestamp = int(at.timestamp())
    return {
        "Content-Type": "application/json",
        "X-ISPVM-Event-Type": job.event_type,
        "X-ISPVM-Delivery-ID": str(job.attempt_id),
        "X-ISPVM-Tenant-ID": str(job.tenant_id),
        "X-ISPVM-Attempt": str(job.number),
        "X-ISPVM-Hop": str(job.hop),
        # The current secret only, until a staged one is promoted.
        "X-ISPVM-Signature": legacy_signature(job.live_secrets[0], job.body),
        "webhook-id": str(job.event_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": standard_signature(
            job.live_secrets, message_id=str(job.event_id), timestamp=timestamp, body=job.body
        ),
    }


def _printable(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
