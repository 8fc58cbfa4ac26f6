"""Timeline entries of incidents about their webhooks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.core.messages import Message
from apps.incidents import services as incidents
from apps.webhooks.models import Delivery


def add_timeline_entry(
    *, delivery: Delivery, at: datetime, message: Message, detail: Mapping[str, Any]
) -> None:
    """Add an entry to the incident that the delivery is about; a test has none."""
    if delivery.incident_id is not None:
        incidents.note_delivery(
            incident_id=delivery.incident_id, message=message, at=at, detail=detail
        )
