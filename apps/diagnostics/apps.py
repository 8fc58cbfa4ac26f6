from datetime import timedelta

from django.apps import AppConfig


class DiagnosticsConfig(AppConfig):
    name = "apps.diagnostics"

    def ready(self) -> None:
        from apps.authorization.limits import limit_rows
        from apps.diagnostics.models import ConnectionTest
        from apps.diagnostics.selectors import tests_within, waiting_count
        from apps.events.retention import expire
        from apps.ingest.pending import register_pending_counter

        limit_rows(ConnectionTest, tests_within)
        register_pending_counter(waiting_count)
        expire(
            "diagnostics_connectiontest",
            retention=timedelta(days=90),
            condition="requested_at < %(before)s",
        )
