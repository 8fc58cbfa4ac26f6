"""Shared gunicorn configuration: worker counts, logging, and metrics of all workers of a group."""

import os
from typing import Any

from apps.core.metrics import Network, clear_folder, merge_dead, serve_metrics
from apps.core.metrics.folder import group_folder, locked_folder
from ispvm.settings.env import Reader
from ispvm.settings.logging import LOGGING

worker_class = "gthread"
workers = 2
threads = 4
timeout = 60
graceful_timeout = 5
control_socket_disable = True
# gunicorn's own log lines use the platform's format.
logconfig_dict = {
    **LOGGING,
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        # RequestIdMiddleware logs requests, with their id and tenant.
        "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
}


def on_starting(_server: Any) -> None:
    """In the master, before its first worker: delete metric files of an earlier run."""
    folder = group_folder()
    if folder:
        clear_folder(folder)


def child_exit(_server: Any, _worker: Any) -> None:
    """In the master, after a worker has ended: merge its metric files."""
    folder = group_folder()
    if folder:
        with locked_folder(folder):
            merge_dead(folder)


def serve_group_metrics(_server: Any) -> None:
    """Serve metrics from the master, for workers that serve no metrics page."""
    env = Reader(os.environ)
    listen = env.address("ISPVM_METRICS_LISTEN")
    allowed: tuple[Network, ...] = env.networks("ISPVM_METRICS_ALLOW")
    env.finish()
    serve_metrics(listen, allowed)


def announce_worker(kind: str) -> None:
    """Write heartbeats of a worker, with its keys; a watchdog ends it if a thread hangs."""
    from apps.core import liveness
    from apps.events.processes import start_process_heartbeat

    start_process_heartbeat(kind)
    liveness.watch()


def start_ingest_worker(_worker: Any) -> None:
    """In each worker of ingest: renew the listener's certificate, and record the uptime of ingest."""
    announce_worker("ingest")
    from apps.agents.listener import start_listener_certificate_refresh
    from apps.ingest.uptime import start_uptime_recorder

    start_listener_certificate_refresh()
    start_uptime_recorder()
