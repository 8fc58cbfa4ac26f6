"""Visibility of diagnostics for members with a limited grant."""

from uuid import UUID

from django.db.models import Q

from apps.authorization.limits import rows_within
from apps.inventory.models import Device


def tests_within(user_id: UUID) -> Q:
    """Tests of the routers that the member sees."""
    return Q(device__in=Device.objects.filter(rows_within(Device, user_id)).values("pk"))
