"""Numbers of ingest: requests, batches, samples, what was refused and how far behind the agents are."""

from datetime import datetime

from prometheus_client import Counter, Histogram

from apps.ingest.services import Accepted
from apps.ingest.wire import WireBatch

SECONDS = Histogram(
    "ispvm_ingest_request_seconds",
    "How long a request of an agent took.",
    ["endpoint", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
REFUSED = Counter("ispvm_ingest_refused", "Requests that were refused, by code.", ["code"])
BATCHES = Counter("ispvm_ingest_batches", "Batches taken in.", ["outcome"])
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


def count_batch(batch: WireBatch, accepted: Accepted, at: datetime) -> None:
    """Count a batch after its commit."""
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
        # Agents write in the order of time; looking at thousands of samples would cost more than it tells.
        newest = max(batch.metrics[0].ts, batch.metrics[-1].ts)
        LAG.observe(max(0.0, (at - newest).total_seconds()))
