"""Prometheus metrics: collected over the processes of a group, with access control.

Nothing here needs Django's settings, so that a server's master process can serve them too.
"""

from apps.core.metrics.access import Network, is_allowed
from apps.core.metrics.exposition import CONTENT_TYPE, exposition
from apps.core.metrics.folder import clear_folder, merge_dead
from apps.core.metrics.listener import Listener, serve_metrics

__all__ = [
    "CONTENT_TYPE",
    "Listener",
    "Network",
    "clear_folder",
    "exposition",
    "is_allowed",
    "merge_dead",
    "serve_metrics",
]
