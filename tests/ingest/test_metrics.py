"""What ingest counts of a batch."""

import pytest
from prometheus_client import REGISTRY

pytestmark = pytest.mark.django_db


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_counts_samples_rejections_duplicates_and_errors(agent):
    names = {
        "stored": ("ispvm_ingest_batches_total", {"outcome": "stored"}),
        "duplicate": ("ispvm_ingest_batches_total", {"outcome": "duplicate"}),
        "samples": ("ispvm_ingest_samples_total", {}),
        "lag": ("ispvm_ingest_lag_seconds_count", {}),
        "refused": ("ispvm_ingest_refused_total", {"code": "invalid_body"}),
        "requests": ("ispvm_ingest_request_seconds_count", {"endpoint": "batch", "status": "200"}),
    }
    before = {key: counted(name, **labels) for key, (name, labels) in names.items()}
    rejected = REGISTRY.get_sample_value
    unknown = agent.metric(metric_name="no.such_metric")
    batch = agent.batch(metrics=[agent.metric(1), agent.metric(2), unknown])

    answer = agent.post("batch", batch).json()
    agent.post("batch", batch)
    agent.post("batch", b"{")

    after = {key: counted(name, **labels) for key, (name, labels) in names.items()}
    assert {key: after[key] - before[key] for key in names} == {
        "stored": 1,
        "duplicate": 1,
        "samples": answer["accepted"]["metrics"],
        "lag": 1,
        "refused": 1,
        "requests": 2,
    }
    (refused,) = answer["rejected"]
    labels = {"kind": "metric", "code": refused["code"]}
    assert rejected("ispvm_ingest_rejected_total", labels) >= 1
