"""What an incident's timeline says about its webhooks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.incidents import services as incidents
from apps.webhooks.models import Delivery


def note_on_timeline(
    *, delivery: Delivery, at: datetime, text: str, detail: Mapping[str, Any]
) -> None:
    """Add an entry to the incident that the delivery is about; a test is about none."""
    if delivery.incident_id is not None:
        incidents.note_delivery(incident_id=delivery.incident_id, text=text, at=at, detail=detail)
