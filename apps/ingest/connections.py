"""Numbers of the listener's connections, for the server that holds them (``ispvm.deploy.ingest_server``)."""

from prometheus_client import Counter, Gauge

OPEN = Gauge("ispvm_ingest_connections", "Open connections of agents.", multiprocess_mode="livesum")
CLOSED = Counter(
    "ispvm_ingest_connections_closed",
    "Connections that the server closed or refused, by the limit that they ran into.",
    ["reason"],
)
