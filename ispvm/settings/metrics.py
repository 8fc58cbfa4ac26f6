"""Numbers for Prometheus: who may read them, where processes without a web page answer."""

import os

from apps.core.metrics import reserved
from ispvm.settings.env import PROJECT, Reader

env = Reader(os.environ)

reserved.install()

ISPVM_METRICS_ALLOW = env.networks("ISPVM_METRICS_ALLOW")
ISPVM_METRICS_LISTEN = env.address("ISPVM_METRICS_LISTEN")
# Read by the client library itself; the processes of one group share it and no other group does.
ISPVM_METRICS_FOLDER = env.folder("PROMETHEUS_MULTIPROC_DIR")
# Name -> a folder on the volume whose free space the beat tells.
ISPVM_WATCHED_VOLUMES = env.folders(
    "ISPVM_WATCHED_VOLUMES", f"home={env.source.get('ISPVM_HOME') or PROJECT / '.ispvm'}"
)
PROMETHEUS_EXPORT_MIGRATIONS = False
PROMETHEUS_LATENCY_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, float("inf"))
