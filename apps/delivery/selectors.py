"""Queries of deliveries."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.delivery.models import Attempt, Delivery, Destination


def visible_destinations(access: Access) -> QuerySet[Destination]:
    """Destinations of all channels that are not deleted."""
    return access.visible(Destination.objects.filter(deleted_at=None), Permission.WEBHOOKS_VIEW)


def visible_deliveries(access: Access) -> QuerySet[Delivery]:
    """All deliveries with their destinations, including deleted destinations."""
    return access.visible(Delivery.objects.select_related("destination"), Permission.WEBHOOKS_VIEW)


def get_visible_delivery(access: Access, pk: UUID | str) -> Delivery:
    """The delivery. Raises NotVisible."""
    try:
        return visible_deliveries(access).get(pk=pk)
    except (Delivery.DoesNotExist, ValidationError) as error:
        raise NotVisible from error


def attempts_of(delivery: Delivery) -> QuerySet[Attempt]:
    """Every attempt of a delivery, newest first."""
    return Attempt.objects.filter(delivery=delivery).order_by("-number")
