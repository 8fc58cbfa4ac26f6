"""What both gunicorn groups share: sizes, log lines, and the numbers of all their workers together."""

import os
from typing import Any

from apps.core.metrics import Network, begin_folder, fold_dead, serve_metrics
from apps.core.metrics.folder import folder_locked, folder_of_group
from ispvm.settings.env import Reader
from ispvm.settings.logging import LOGGING

worker_class = "gthread"
workers = 2
threads = 4
timeout = 60
graceful_timeout = 5
control_socket_disable = True
# The server's own lines look like all others.
logconfig_dict = {
    **LOGGING,
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        # The platform has a line of its own for a request, with its id and tenant.
        "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
}


def on_starting(_server: Any) -> None:
    """The master, before its first worker: numbers of a former run go."""
    folder = folder_of_group()
    if folder:
        begin_folder(folder)


def child_exit(_server: Any, _worker: Any) -> None:
    """The master, after a worker ended, however it ended."""
    folder = folder_of_group()
    if folder:
        with folder_locked(folder):
            fold_dead(folder)


def listen_for_scrapes(_server: Any) -> None:
    """The master answers scrapes where its workers cannot."""
    env = Reader(os.environ)
    listen = env.address("ISPVM_METRICS_LISTEN")
    allowed: tuple[Network, ...] = env.networks("ISPVM_METRICS_ALLOW")
    env.finish()
    serve_metrics(listen, allowed)


def announce_worker(kind: str) -> None:
    """A worker says that it runs, and with which keys; its watchdog ends it when a thread hangs."""
    from apps.core import liveness
    from apps.events.processes import announce

    announce(kind)
    liveness.watch()


def attend_to_agents(_worker: Any) -> None:
    """A worker of ingest: its certificate follows the authorities while it runs, and it records its uptime."""
    announce_worker("ingest")
    from apps.agents.listener import keep_listener_certificate
    from apps.ingest.uptime import start_uptime_recorder

    keep_listener_certificate()
    start_uptime_recorder()
