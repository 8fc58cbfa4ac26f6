"""The statements that record the results of a lease: one for all its attempts, one for all its deliveries."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from apps.delivery.channels import Job, Result
from apps.delivery.models import Delivery

_ATTEMPTS = """
UPDATE delivery_attempt a
SET finished_at = %s, outcome = v.outcome, duration_ms = v.duration_ms, address = v.address, status = v.status,
    error_code = v.error_code, error_detail = v.error_detail, is_permanent = v.is_permanent,
    retry_after_seconds = v.retry_after_seconds, certificate_sha256 = v.certificate_sha256,
    response_head = v.response_head
FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::text[], %s::smallint[], %s::text[], %s::text[], %s::bool[],
    %s::int[], %s::text[], %s::text[])
    AS v(id, outcome, duration_ms, address, status, error_code, error_detail, is_permanent,
        retry_after_seconds, certificate_sha256, response_head)
WHERE a.id = v.id
"""
_DELIVERIES = """
UPDATE delivery_delivery d
SET lease_token = NULL, leased_until = NULL, state = v.state, failure_count = v.failure_count,
    next_attempt_at = v.next_attempt_at, delivered_at = v.delivered_at, dead_at = v.dead_at,
    dead_reason = v.dead_reason
FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[])
    AS v(id, state, failure_count, next_attempt_at, delivered_at, dead_at, dead_reason)
WHERE d.id = v.id AND d.state = 'leased' AND d.lease_token = %s
"""


def write_attempts(results: Sequence[tuple[Job, Result]], at: datetime) -> None:
    """Record how these attempts ended."""
    rows = [
        (
            job.attempt_id,
            str(result.outcome),
            result.duration_ms,
            result.address,
            result.status,
            result.error_code,
            result.error_detail,
            result.is_permanent,
            None if result.retry_after is None else int(result.retry_after.total_seconds()),
            result.certificate_sha256,
            result.response_head,
        )
        for job, result in results
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_ATTEMPTS, [at, *_columns(rows)])


def write_deliveries(deliveries: Sequence[Delivery], *, lease_id: UUID) -> None:
    """End the lease of these deliveries, with their new state.

    Compare-and-set on the lease. The rows are locked, so a mismatch is a programming error.
    """
    rows = [
        (
            delivery.id,
            str(delivery.state),
            delivery.failure_count,
            delivery.next_attempt_at,
            delivery.delivered_at,
            delivery.dead_at,
            str(delivery.dead_reason),
        )
        for delivery in deliveries
    ]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(_DELIVERIES, [*_columns(rows), lease_id])
        if cursor.rowcount != len(rows):
            raise RuntimeError("The lease of a locked delivery changed.")


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
