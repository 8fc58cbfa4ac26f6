"""Numbers for the operator's Prometheus: how they are gathered over processes, and who may read them.

Nothing here needs Django's settings, so that a server's master process can answer too.
"""

from apps.core.metrics.access import Network, may_read
from apps.core.metrics.exposition import CONTENT_TYPE, exposition
from apps.core.metrics.folder import begin_folder, fold_dead
from apps.core.metrics.listener import Listener, serve_metrics

__all__ = [
    "CONTENT_TYPE",
    "Listener",
    "Network",
    "begin_folder",
    "exposition",
    "fold_dead",
    "may_read",
    "serve_metrics",
]
