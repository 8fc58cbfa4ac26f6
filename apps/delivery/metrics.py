"""Metrics of a channel: attempts by outcome, pending and dead deliveries."""

from datetime import datetime
from operator import add

from django.db.models import Count, Min, Q
from prometheus_client import Counter, Histogram

from apps.delivery.choices import DeliveryState
from apps.delivery.models import Delivery
from apps.events.backlog import age
from apps.events.gauges import Gauge, GaugeValues, register_tenant_gauges


class ChannelMetrics:
    """Counts and measures finished attempts of one channel, and registers the gauges of its queue."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._prefix = f"ispvm_{channel}"
        self.attempts = Counter(
            f"{self._prefix}_attempts", "Finished attempts, by outcome.", ["outcome"]
        )
        self.seconds = Histogram(
            f"{self._prefix}_attempt_seconds",
            "Time from the request to the response.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
        )
        gauges = (
            Gauge(
                f"{self._prefix}_pending",
                "Deliveries that are pending or being sent.",
                combine=add,
            ),
            Gauge(f"{self._prefix}_pending_age_seconds", "Age of the oldest pending delivery."),
            Gauge(f"{self._prefix}_dead", "Dead letters in the delivery log.", combine=add),
        )
        register_tenant_gauges(gauges, self.read_queue)

    def read_queue(self, at: datetime) -> GaugeValues:
        """Values of the current tenant."""
        is_open = Q(state__in=[DeliveryState.PENDING, DeliveryState.LEASED])
        counts = Delivery.objects.filter(destination__channel=self._channel).aggregate(
            pending=Count("id", filter=is_open),
            oldest=Min("created_at", filter=is_open),
            dead=Count("id", filter=Q(state=DeliveryState.DEAD)),
        )
        return {
            (f"{self._prefix}_pending",): counts["pending"],
            (f"{self._prefix}_pending_age_seconds",): age(counts["oldest"], at),
            (f"{self._prefix}_dead",): counts["dead"],
        }
