from datetime import timedelta

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "apps.telemetry"

    def ready(self) -> None:
        from apps.events.retention import expire

        expire("telemetry_event", retention=timedelta(days=90), condition="ts < %(before)s")
        # The last change before the retention period is kept: it is the value at the period's start.
        expire(
            "telemetry_textchange",
            retention=timedelta(days=400),
            condition="ts < %(before)s AND EXISTS (SELECT FROM telemetry_textchange later"
            " WHERE later.tenant_id = telemetry_textchange.tenant_id"
            " AND later.series_id = telemetry_textchange.series_id"
            " AND later.ts > telemetry_textchange.ts AND later.ts < %(before)s)",
        )
