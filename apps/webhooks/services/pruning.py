"""Forgetting settled deliveries and their attempts after their time."""

from datetime import datetime, timedelta

from django.db.models import Q

from apps.webhooks.choices import DeliveryState
from apps.webhooks.models import Delivery

KEPT = timedelta(days=30)
BATCH = 1000


def prune_ledger(*, at: datetime) -> int:
    """Delete what was delivered or given up more than 30 days ago; returns how many."""
    old = Q(state=DeliveryState.DELIVERED, delivered_at__lt=at - KEPT) | Q(
        state=DeliveryState.DEAD, dead_at__lt=at - KEPT
    )
    ids = list(Delivery.objects.filter(old).values_list("id", flat=True)[:BATCH])
    Delivery.objects.filter(old, pk__in=ids).delete()
    return len(ids)
