"""What an incident's timeline says about its webhooks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from apps.webhooks.models import Delivery

log = structlog.get_logger(__name__)


def note_on_timeline(
    *, delivery: Delivery, at: datetime, text: str, detail: Mapping[str, Any]
) -> None:
    """Add an entry to the incident that the delivery is about."""
    log.info(
        "webhook_settled",
        incident=str(delivery.incident_id),
        event_id=str(delivery.event_id),
        at=at.isoformat(),
        text=text,
        **detail,
    )
