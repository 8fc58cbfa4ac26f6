from datetime import timedelta

from django.apps import AppConfig

#: Thirteen months: a report can compare a month with the same one of last year.
KEPT = timedelta(days=400)


class IncidentsConfig(AppConfig):
    name = "apps.incidents"

    def ready(self) -> None:
        from apps.events import due, subscriptions
        from apps.events.retention import expire, follow
        from apps.incidents import subscribers
        from apps.incidents.limits import register_limits
        from apps.incidents.services.correlate import CORRELATE

        register_limits()
        subscriptions.subscribe(
            "alert.transition", name="incidents.wake", handler=subscribers.on_alert_transition
        )
        due.register(CORRELATE, CORRELATE)
        expire(
            "incidents_incident",
            retention=KEPT,
            condition="status = 'closed' AND ended_at < %(before)s",
        )
        follow(
            "incidents_incident",
            "incidents_incidentalert",
            "incidents_timelineentry",
            "incidents_revision",
        )
        expire(
            "incidents_storedsnapshot",
            retention=KEPT,
            condition="at < %(before)s AND NOT EXISTS (SELECT FROM incidents_revision r"
            " WHERE r.snapshot_id = incidents_storedsnapshot.id)",
        )
        # It has no time of its own: it goes with the last snapshot that was taken of it.
        expire(
            "incidents_graphversion",
            retention=KEPT,
            condition="NOT EXISTS (SELECT FROM incidents_storedsnapshot s"
            " WHERE s.graph_id = incidents_graphversion.id)",
        )
