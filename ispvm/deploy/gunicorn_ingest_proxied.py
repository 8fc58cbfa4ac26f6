"""gunicorn's configuration for ingest behind a proxy on the same host that terminates TLS: a unix socket, no port.

The proxy's headers are trusted on a unix socket only. Bound to a port by mistake, every request is unauthenticated.
"""

from ispvm.deploy.gunicorn_group import *
from ispvm.deploy.gunicorn_group import serve_group_metrics, start_ingest_worker

worker_class = "ispvm.deploy.ingest_server.worker.IngestWorker"
# The socket is accessible to this account and its group, which the proxy's account must belong to.
umask = 0o007
when_ready = serve_group_metrics
post_worker_init = start_ingest_worker
