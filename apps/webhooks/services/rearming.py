"""Keeping the due table right: one row per endpoint says when it must be looked at next."""

from datetime import datetime
from uuid import UUID

from django.db.models import Min

from apps.events import due, jobs
from apps.tenancy.context import require_tenant_id
from apps.webhooks.choices import DeliveryState
from apps.webhooks.models import Delivery, Endpoint

DELIVER = "webhooks.deliver"


def ring(*, endpoint_id: UUID, at: datetime) -> None:
    """Have the endpoint looked at once this transaction commits, and by the due table if the bell is lost."""
    tenant_id = require_tenant_id()
    due.schedule(DELIVER, at=at, tenant_id=tenant_id, ref=str(endpoint_id))
    jobs.enqueue(DELIVER, tenant_id=str(tenant_id), ref=str(endpoint_id))


def rearm(*, endpoint_id: UUID) -> datetime | None:
    """Set the endpoint's due row to its earliest open delivery, or take it away; returns that time."""
    tenant_id = require_tenant_id()
    due.finish(DELIVER, tenant_id=tenant_id, ref=str(endpoint_id))
    endpoint = Endpoint.objects.filter(pk=endpoint_id, deleted_at=None, pause_reason="").first()
    if endpoint is None:
        return None
    mine = Delivery.objects.filter(endpoint=endpoint)
    times = [
        mine.filter(state=DeliveryState.PENDING).aggregate(at=Min("next_attempt_at"))["at"],
        # A sender that died comes to light when its lease ends.
        mine.filter(state=DeliveryState.LEASED).aggregate(at=Min("leased_until"))["at"],
    ]
    open_times: list[datetime] = [time for time in times if time is not None]
    if not open_times:
        return None
    earliest = min(open_times)
    if endpoint.rest_until is not None:
        earliest = max(earliest, endpoint.rest_until)
    due.schedule(DELIVER, at=earliest, tenant_id=tenant_id, ref=str(endpoint_id))
    return earliest
