"""Queries of webhooks."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.webhooks.choices import DeliveryState
from apps.webhooks.models import Attempt, Delivery, Endpoint


def visible_endpoints(access: Access) -> QuerySet[Endpoint]:
    """Endpoints that are not deleted."""
    return access.visible(Endpoint.objects.filter(deleted_at=None), Permission.WEBHOOKS_VIEW)


def visible_deliveries(access: Access) -> QuerySet[Delivery]:
    """All deliveries with their endpoints, including deleted endpoints."""
    return access.visible(Delivery.objects.select_related("endpoint"), Permission.WEBHOOKS_VIEW)


def dead_letters(access: Access) -> QuerySet[Delivery]:
    """Deliveries that failed for good."""
    return visible_deliveries(access).filter(state=DeliveryState.DEAD)


def get_visible_endpoint(access: Access, pk: UUID | str) -> Endpoint:
    """The endpoint. Raises NotVisible, alike for missing, deleted and other tenants' endpoints."""
    try:
        return visible_endpoints(access).get(pk=pk)
    except (Endpoint.DoesNotExist, ValidationError) as error:
        raise NotVisible from error


def get_visible_delivery(access: Access, pk: UUID | str) -> Delivery:
    """The delivery. Raises NotVisible."""
    try:
        return visible_deliveries(access).get(pk=pk)
    except (Delivery.DoesNotExist, ValidationError) as error:
        raise NotVisible from error


def deliveries_of_incident(incident_id: UUID) -> QuerySet[Delivery]:
    """Deliveries of an incident, in the order of its events."""
    return (
        Delivery.objects.filter(incident_id=incident_id)
        .select_related("endpoint")
        .order_by("epoch", "sequence", "endpoint__name")
    )


def attempts_of(delivery: Delivery) -> QuerySet[Attempt]:
    """Every attempt of a delivery, newest first."""
    return Attempt.objects.filter(delivery=delivery).order_by("-number")
