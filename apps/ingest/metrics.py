"""Prometheus metrics of ingest: requests, batches, samples, rejections, lag and connections."""

from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from apps.ingest.schema import Batch
from apps.ingest.services import AcceptedBatch

SECONDS = Histogram(
    "ispvm_ingest_request_seconds",
    "How long a request of an agent took.",
    ["endpoint", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
REFUSED = Counter("ispvm_ingest_refused", "Requests that were refused, by code.", ["code"])
BATCHES = Counter("ispvm_ingest_batches", "Batches received.", ["outcome"])
SAMPLES = Counter("ispvm_ingest_samples", "Samples stored.")
EVENTS = Counter("ispvm_ingest_events", "Events stored.")
REJECTED = Counter(
    "ispvm_ingest_rejected", "Items of accepted batches that were not stored.", ["kind", "code"]
)
LAG = Histogram(
    "ispvm_ingest_lag_seconds",
    "From the last sample of a batch to its commit, by the agent's clock.",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 3600, 86_400),
)


# Of the server that holds the connections (``ispvm.deploy.ingest_server``).
CONNECTIONS_OPEN = Gauge(
    "ispvm_ingest_connections", "Open connections of agents.", multiprocess_mode="livesum"
)
CONNECTIONS_CLOSED = Counter(
    "ispvm_ingest_connections_closed",
    "Connections that the server closed or refused, by the limit that was exceeded.",
    ["reason"],
)


def count_batch(batch: Batch, accepted: AcceptedBatch, at: datetime) -> None:
    """Count a batch after it was committed."""
    if accepted.is_duplicate:
        BATCHES.labels("duplicate").inc()
        return
    BATCHES.labels("stored").inc()
    SAMPLES.inc(accepted.metrics)
    EVENTS.inc(accepted.events)
    for rejected in accepted.rejected:
        kind = rejected.kind if rejected.kind in {"metric", "event"} else "inventory"
        REJECTED.labels(kind, rejected.code).inc()
    if batch.metrics:
        # Samples are ordered by time, so the first and the last are enough.
        newest = max(batch.metrics[0].ts, batch.metrics[-1].ts)
        LAG.observe(max(0.0, (at - newest).total_seconds()))
