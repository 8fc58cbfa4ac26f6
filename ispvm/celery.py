"""The Celery application: workers of every queue and the beat."""

import os

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ispvm.settings.server")

app = Celery("ispvm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def refuse_bypassing_role(**_: object) -> None:
    from apps.tenancy.guard import refuse_bypassing_role as refuse

    refuse()
