from datetime import timedelta

from django.apps import AppConfig

#: Thirteen months: a report can compare a month with the same one of last year.
RETENTION = timedelta(days=400)


class IncidentsConfig(AppConfig):
    name = "apps.incidents"

    def ready(self) -> None:
        from apps.core import messages
        from apps.events import due, subscriptions
        from apps.events.retention import declare_cascade, expire
        from apps.incidents import subscribers
        from apps.incidents.limits import register_limits
        from apps.incidents.messages import CATALOG
        from apps.incidents.services.correlate import CORRELATE

        messages.register(CATALOG)
        register_limits()
        subscriptions.subscribe(
            "alert.transition", name="incidents.wake", handler=subscribers.on_alert_transition
        )
        due.register(CORRELATE, CORRELATE)
        expire(
            "incidents_incident",
            retention=RETENTION,
            condition="status = 'closed' AND ended_at < %(before)s",
        )
        declare_cascade(
            "incidents_incident",
            "incidents_incidentalert",
            "incidents_timelineentry",
            "incidents_revision",
        )
        expire(
            "incidents_storedsnapshot",
            retention=RETENTION,
            condition="at < %(before)s AND NOT EXISTS (SELECT FROM incidents_revision r"
            " WHERE r.snapshot_id = incidents_storedsnapshot.id)",
        )
        # A graph version has no time of its own: it expires with the last snapshot that references it.
        expire(
            "incidents_graphversion",
            retention=RETENTION,
            condition="NOT EXISTS (SELECT FROM incidents_storedsnapshot s"
            " WHERE s.graph_id = incidents_graphversion.id)",
        )
