"""The HTTP request of an attempt, and what its answer means: outside of any transaction and tenant."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from apps.core.http import EgressClient, EgressError, Request
from apps.delivery.channels import Job, Result, Verdict
from apps.delivery.choices import Outcome
from apps.webhooks.signing import legacy_signature, standard_signature

SHOWN_RESPONSE = 1024
GONE = 410
LONGEST_RETRY_AFTER = timedelta(days=366)

# Failures that block a worker thread; the endpoint backs off after them.
SLOW_CODES = frozenset({"answer_timeout", "connect_timeout", "tls_timeout", "dns_timeout"})


@dataclass(frozen=True)
class HttpSender:
    """Signs and posts to one endpoint."""

    url: str
    ca_pem: str
    live_secrets: tuple[str, ...] = field(repr=False)
    client: EgressClient

    def send(self, job: Job, *, at: datetime) -> Result:
        """Sign and send the request. Never raises for failures; only 2xx is success."""
        headers = headers_of(job, self.live_secrets, at=at)
        started = time.monotonic()
        try:
            response = self.client.send(Request("POST", self.url, headers, job.body, self.ca_pem))
        except EgressError as error:
            return Result(
                verdict=Verdict.RETRY,
                outcome=Outcome.FAILED,
                is_slow=error.code in SLOW_CODES,
                duration_ms=round((time.monotonic() - started) * 1000),
                error_code=error.code,
                error_detail=error.message[:300],
                is_permanent=error.permanent,
                address=error.address,
            )
        verdict = classify(response.status)
        is_success = verdict is Verdict.DELIVERED
        return Result(
            verdict=verdict,
            outcome=Outcome.DELIVERED if is_success else Outcome.REJECTED,
            retry_after=read_retry_after(response.headers.get("retry-after", ""), at=at),
            duration_ms=response.elapsed_ms,
            status=response.status,
            error_code="" if is_success else f"status_{response.status}",
            is_permanent=verdict is Verdict.GONE,
            address=response.address,
            certificate_sha256=response.certificate_sha256,
            response_head="" if response.is_private else _printable(response.body[:SHOWN_RESPONSE]),
        )


def classify(status: int) -> Verdict:
    """Only 2xx is success, and only 410 is final: a receiver that is being repaired responds with anything else."""
    if 200 <= status < 300:  # noqa: PLR2004  (the meaning of 2xx)
        return Verdict.DELIVERED
    return Verdict.GONE if status == GONE else Verdict.RETRY


def headers_of(job: Job, live_secrets: tuple[str, ...], *, at: datetime) -> dict[str, str]:
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
        "X-ISPVM-Signature": legacy_signature(live_secrets[0], job.body),
        "webhook-id": str(job.event_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": standard_signature(
            live_secrets, message_id=str(job.event_id), timestamp=timestamp, body=job.body
        ),
    }


def read_retry_after(value: str, *, at: datetime) -> timedelta | None:
    """Parse a Retry-After header (seconds or a date); None if it is invalid or in the past."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:12])), LONGEST_RETRY_AFTER)
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError):
        return None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return min(time - at, LONGEST_RETRY_AFTER) if time > at else None


def _printable(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
