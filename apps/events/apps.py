from datetime import timedelta

from django.apps import AppConfig

#: How long a delivered outbox event stays, for whoever looks into what happened.
OUTBOX_KEPT = timedelta(days=7)


class EventsConfig(AppConfig):
    name = "apps.events"

    def ready(self) -> None:
        from celery import current_app

        from apps.events import backlog, binding, counting, due, retention, state
        from apps.events.outbox import DISPATCH

        due.register(DISPATCH, DISPATCH)
        binding.connect()
        counting.connect()
        state.measure_tenant(backlog.OUTBOX, backlog.read_outbox)
        state.measure_installation(backlog.INSTALLATION, backlog.read_installation)
        retention.expire(
            "events_outboxevent",
            kept=OUTBOX_KEPT,
            when="created_at < %(before)s AND NOT EXISTS (SELECT FROM events_outboxdelivery d"
            " WHERE d.event_id = events_outboxevent.id AND d.done_at IS NULL)",
        )
        retention.follow("events_outboxevent", "events_outboxdelivery")
        retention.expire("events_process", kept=timedelta(days=1), when="seen_at < %(before)s")
        # Celery would find the tasks only when a worker starts; whoever rings needs their queues.
        current_app.autodiscover_tasks(force=True)
