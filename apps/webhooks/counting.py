"""Numbers of webhooks: attempts by outcome, and what waits."""

from datetime import datetime

from django.db.models import Count, Min, Q
from prometheus_client import Counter, Histogram

from apps.events.backlog import age
from apps.events.state import Gauge, Reading, added
from apps.webhooks.choices import DeliveryState
from apps.webhooks.models import Delivery

ATTEMPTS = Counter("ispvm_webhook_attempts", "Attempts that ended, by outcome.", ["outcome"])
SECONDS = Histogram(
    "ispvm_webhook_attempt_seconds",
    "How long a receiver took.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
STATE = (
    Gauge("ispvm_webhook_pending", "Deliveries that wait or are being sent.", combine=added),
    Gauge("ispvm_webhook_pending_age_seconds", "Age of the oldest of them."),
    Gauge("ispvm_webhook_dead", "Deliveries that were given up, in the ledger.", combine=added),
)


def read_ledger(at: datetime) -> Reading:
    """The current tenant's ledger."""
    open_ones = Q(state__in=[DeliveryState.PENDING, DeliveryState.LEASED])
    said = Delivery.objects.aggregate(
        pending=Count("id", filter=open_ones),
        oldest=Min("created_at", filter=open_ones),
        dead=Count("id", filter=Q(state=DeliveryState.DEAD)),
    )
    return {
        ("ispvm_webhook_pending",): said["pending"],
        ("ispvm_webhook_pending_age_seconds",): age(said["oldest"], at),
        ("ispvm_webhook_dead",): said["dead"],
    }
