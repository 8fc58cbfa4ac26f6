"""gunicorn's configuration for ingest behind a proxy on the same host that ends TLS: a unix socket and no port.

The proxy's headers are believed on a unix socket only. Bound to a port by mistake, this listener knows nobody.
"""

from ispvm.deploy.gunicorn_group import *
from ispvm.deploy.gunicorn_group import attend_to_agents, listen_for_scrapes

worker_class = "ispvm.deploy.ingest_server.worker.IngestWorker"
# The socket opens for this account and its group: the proxy's account belongs to it.
umask = 0o007
when_ready = listen_for_scrapes
post_worker_init = attend_to_agents
