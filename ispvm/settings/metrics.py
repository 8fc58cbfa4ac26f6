"""Prometheus metrics: access, and the listener of processes without web pages."""

import os

from apps.core.metrics import reserved
from ispvm.settings.env import PROJECT, Reader

env = Reader(os.environ)

reserved.install()

ISPVM_METRICS_ALLOW = env.networks("ISPVM_METRICS_ALLOW")
ISPVM_METRICS_LISTEN = env.address("ISPVM_METRICS_LISTEN")
# Read by the client library; shared by the processes of one group only.
ISPVM_METRICS_FOLDER = env.folder("PROMETHEUS_MULTIPROC_DIR")
# Name -> folder on a volume whose free space the beat reports.
ISPVM_WATCHED_VOLUMES = env.folders(
    "ISPVM_WATCHED_VOLUMES", f"home={env.source.get('ISPVM_HOME') or PROJECT / '.ispvm'}"
)
PROMETHEUS_EXPORT_MIGRATIONS = False
PROMETHEUS_LATENCY_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, float("inf"))
