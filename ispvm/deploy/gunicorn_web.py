"""gunicorn's configuration for the web process; it serves its metrics itself, at /metrics."""

from typing import Any

from ispvm.deploy.gunicorn_group import *
from ispvm.deploy.gunicorn_group import announce_worker
from ispvm.settings.web import ISPVM_WEB_THREADS, ISPVM_WEB_WORKERS

# One tenant gets at most half of the threads of a process (apps.core.admission).
workers = ISPVM_WEB_WORKERS
threads = ISPVM_WEB_THREADS


def post_worker_init(worker: Any) -> None:
    """The first worker logs the setup code of a new installation; its replacements do not."""
    announce_worker("web")
    if worker.age == 1:
        from apps.accounts.setup import log_setup_code_at_start

        log_setup_code_at_start()
