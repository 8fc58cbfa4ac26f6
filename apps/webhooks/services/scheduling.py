"""Scheduling endpoints in the due table: one row per endpoint holds the time of its next processing."""

from datetime import datetime
from uuid import UUID

from django.db.models import Min

from apps.events import due, jobs
from apps.tenancy.context import require_tenant_id
from apps.webhooks.choices import DeliveryState
from apps.webhooks.models import Delivery, Endpoint

DELIVER = "webhooks.deliver"


def schedule_endpoint(*, endpoint_id: UUID, at: datetime) -> None:
    """Send the endpoint's task when this transaction commits; the due table sends it again if that is lost."""
    tenant_id = require_tenant_id()
    due.schedule(DELIVER, at=at, tenant_id=tenant_id, ref=str(endpoint_id))
    jobs.enqueue(DELIVER, tenant_id=str(tenant_id), ref=str(endpoint_id))


def reschedule_endpoint(*, endpoint_id: UUID) -> datetime | None:
    """Set the endpoint's due row to its earliest open delivery, or delete it; returns that time."""
    tenant_id = require_tenant_id()
    due.finish(DELIVER, tenant_id=tenant_id, ref=str(endpoint_id))
    endpoint = Endpoint.objects.filter(pk=endpoint_id, deleted_at=None, pause_reason="").first()
    if endpoint is None:
        return None
    deliveries = Delivery.objects.filter(endpoint=endpoint)
    times = [
        deliveries.filter(state=DeliveryState.PENDING).aggregate(at=Min("next_attempt_at"))["at"],
        # The lease of a sender that died expires.
        deliveries.filter(state=DeliveryState.LEASED).aggregate(at=Min("leased_until"))["at"],
    ]
    open_times: list[datetime] = [time for time in times if time is not None]
    if not open_times:
        return None
    earliest = min(open_times)
    if endpoint.backoff_until is not None:
        earliest = max(earliest, endpoint.backoff_until)
    due.schedule(DELIVER, at=earliest, tenant_id=tenant_id, ref=str(endpoint_id))
    return earliest
