from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "apps.events"

    def ready(self) -> None:
        from celery import current_app

        from apps.events import backlog, binding, counting, due, state
        from apps.events.outbox import DISPATCH

        due.register(DISPATCH, DISPATCH)
        binding.connect()
        counting.connect()
        state.measure_tenant(backlog.OUTBOX, backlog.read_outbox)
        state.measure_installation(backlog.INSTALLATION, backlog.read_installation)
        # Celery would find the tasks only when a worker starts; whoever rings needs their queues.
        current_app.autodiscover_tasks(force=True)
