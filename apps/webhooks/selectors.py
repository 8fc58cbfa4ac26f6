"""Queries of webhooks."""

from django.db.models import QuerySet

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.delivery import selectors as deliveries
from apps.delivery.choices import DeliveryState
from apps.delivery.models import Delivery
from apps.webhooks.choices import CHANNEL_NAME
from apps.webhooks.models import Endpoint


def endpoints() -> QuerySet[Endpoint]:
    """Endpoints that are not deleted, with their destinations."""
    return Endpoint.objects.filter(destination__deleted_at=None).select_related("destination")


def visible_endpoints(access: Access) -> QuerySet[Endpoint]:
    """Endpoints that are not deleted, with their destinations."""
    return access.visible(endpoints(), Permission.WEBHOOKS_VIEW)


def visible_deliveries(access: Access) -> QuerySet[Delivery]:
    """All webhooks with their destinations, including deleted endpoints."""
    return deliveries.visible_deliveries(access).filter(destination__channel=CHANNEL_NAME)


def dead_letters(access: Access) -> QuerySet[Delivery]:
    """Webhooks that failed for good."""
    return visible_deliveries(access).filter(state=DeliveryState.DEAD)
