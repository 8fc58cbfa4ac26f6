from datetime import timedelta

from django.apps import AppConfig

#: Retention of delivered outbox events, for troubleshooting.
OUTBOX_RETENTION = timedelta(days=7)


class EventsConfig(AppConfig):
    name = "apps.events"

    def ready(self) -> None:
        from celery import current_app

        from apps.events import backlog, due, gauges, log_context, retention, task_metrics
        from apps.events.outbox import DISPATCH

        due.register(DISPATCH, DISPATCH)
        log_context.connect()
        task_metrics.connect()
        gauges.register_tenant_gauges(backlog.OUTBOX, backlog.read_outbox)
        gauges.register_installation_gauges(backlog.INSTALLATION, backlog.read_installation)
        retention.expire(
            "events_outboxevent",
            retention=OUTBOX_RETENTION,
            condition="created_at < %(before)s AND NOT EXISTS (SELECT FROM events_outboxdelivery d"
            " WHERE d.event_id = events_outboxevent.id AND d.done_at IS NULL)",
        )
        retention.declare_cascade("events_outboxevent", "events_outboxdelivery")
        retention.expire(
            "events_process", retention=timedelta(days=1), condition="seen_at < %(before)s"
        )
        # By default Celery loads tasks only in workers; every sender needs their queues.
        current_app.autodiscover_tasks(force=True)
