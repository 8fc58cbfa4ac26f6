"""Scheduling destinations in the due table: one row per destination holds the time of its next processing."""

from datetime import datetime
from uuid import UUID

from django.db.models import Min

from apps.delivery.choices import DeliveryState
from apps.delivery.models import Delivery, Destination
from apps.events import due, jobs
from apps.tenancy.context import require_tenant_id

DELIVER = "delivery.deliver"


def schedule_destination(*, destination_id: UUID, at: datetime) -> None:
    """Send the destination's task when this transaction commits; the due table sends it again if that is lost."""
    tenant_id = require_tenant_id()
    due.schedule(DELIVER, at=at, tenant_id=tenant_id, ref=str(destination_id))
    jobs.enqueue(DELIVER, tenant_id=str(tenant_id), ref=str(destination_id))


def unschedule_destination(*, destination_id: UUID) -> None:
    """Delete the destination's due row."""
    due.finish(DELIVER, tenant_id=require_tenant_id(), ref=str(destination_id))


def reschedule_destination(*, destination_id: UUID) -> datetime | None:
    """Set the destination's due row to its earliest open delivery, or delete it; returns that time."""
    unschedule_destination(destination_id=destination_id)
    destination = Destination.objects.filter(
        pk=destination_id, deleted_at=None, pause_reason=""
    ).first()
    if destination is None:
        return None
    deliveries = Delivery.objects.filter(destination=destination)
    times = [
        deliveries.filter(state=DeliveryState.PENDING).aggregate(at=Min("next_attempt_at"))["at"],
        # The lease of a sender that died expires.
        deliveries.filter(state=DeliveryState.LEASED).aggregate(at=Min("leased_until"))["at"],
    ]
    open_times: list[datetime] = [time for time in times if time is not None]
    if not open_times:
        return None
    earliest = min(open_times)
    if destination.backoff_until is not None:
        earliest = max(earliest, destination.backoff_until)
    due.schedule(DELIVER, at=earliest, tenant_id=require_tenant_id(), ref=str(destination_id))
    return earliest
