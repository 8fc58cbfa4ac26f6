"""What of the diagnostics a limited member sees."""

from uuid import UUID

from django.db.models import Q

from apps.authorization.limits import rows_within
from apps.inventory.models import Device


def tests_within(user_id: UUID) -> Q:
    """Those of the routers that they see."""
    return Q(device__in=Device.objects.filter(rows_within(Device, user_id)).values("pk"))
