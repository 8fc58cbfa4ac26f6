"""The Celery application: workers of every queue and the beat."""

import os

from celery import Celery
from celery.signals import celeryd_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ispvm.settings.server")

app = Celery("ispvm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
def begin_counting(**_: object) -> None:
    """Numbers of a former run go, before anything of this one is counted."""
    from apps.core.metrics.folder import begin_folder, folder_of_group

    if folder := folder_of_group():
        begin_folder(folder)


@worker_init.connect
def refuse_bypassing_role(**_: object) -> None:
    from apps.tenancy.guard import refuse_bypassing_role as refuse

    refuse()
