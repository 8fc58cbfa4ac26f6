"""Whether devices answer, as last read. What was not read lately is blind, never well."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db import connection

#: As the shipped rules have it: a reading that is older says nothing of now.
BLIND_AFTER = timedelta(seconds=60)


class Reach(StrEnum):
    """A device without a reading at all is not in any answer: it is unknown."""

    UP = "up"
    DOWN = "down"
    BLIND = "blind"


def reach_of_devices(at: datetime) -> dict[UUID, Reach]:
    """Every device that was ever read. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.entity_id, CASE WHEN l.ts < %s THEN 'blind' WHEN l.value > 0 THEN 'up' ELSE 'down' END"
            " FROM telemetry_series s JOIN telemetry_latest l ON l.series_id = s.id"
            " WHERE s.metric = 'device.up' AND s.entity_type = 'device' AND s.labels = ''",
            [at - BLIND_AFTER],
        )
        return {device_id: Reach(word) for device_id, word in cursor.fetchall()}
