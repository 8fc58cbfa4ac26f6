"""Metrics of webhooks: attempts by outcome, pending and dead deliveries."""

from datetime import datetime
from operator import add

from django.db.models import Count, Min, Q
from prometheus_client import Counter, Histogram

from apps.events.backlog import age
from apps.events.gauges import Gauge, GaugeValues
from apps.webhooks.choices import DeliveryState
from apps.webhooks.models import Delivery

ATTEMPTS = Counter("ispvm_webhook_attempts", "Finished attempts, by outcome.", ["outcome"])
SECONDS = Histogram(
    "ispvm_webhook_attempt_seconds",
    "Time from the request to the response.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
STATE = (
    Gauge("ispvm_webhook_pending", "Deliveries that are pending or being sent.", combine=add),
    Gauge("ispvm_webhook_pending_age_seconds", "Age of the oldest pending delivery."),
    Gauge("ispvm_webhook_dead", "Dead letters in the delivery log.", combine=add),
)


def read_deliveries(at: datetime) -> GaugeValues:
    """Values of the current tenant."""
    is_open = Q(state__in=[DeliveryState.PENDING, DeliveryState.LEASED])
    counts = Delivery.objects.aggregate(
        pending=Count("id", filter=is_open),
        oldest=Min("created_at", filter=is_open),
        dead=Count("id", filter=Q(state=DeliveryState.DEAD)),
    )
    return {
        ("ispvm_webhook_pending",): counts["pending"],
        ("ispvm_webhook_pending_age_seconds",): age(counts["oldest"], at),
        ("ispvm_webhook_dead",): counts["dead"],
    }
