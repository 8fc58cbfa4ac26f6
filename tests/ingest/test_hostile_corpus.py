"""A generated corpus and random mutations: refused as documented, nothing is stored, and ingest keeps running."""

import json
import os
import random
from uuid import uuid4

import pytest

from apps.core import clock
from apps.core.errors import DomainError
from apps.ingest.schema import parse_batch
from apps.ingest.validation import ItemValidator, partition_items
from apps.inventory.models import Device
from apps.tenancy import acting_in
from tests.ingest.corpus import hostile_batches, mutate

pytestmark = pytest.mark.django_db

AT_LEAST = 400
REFUSED = {400, 403, 413, 422}


@pytest.fixture
def valid_batch(agent):
    batch = agent.batch(metrics=[agent.metric()], events=[agent.event()])
    batch["dropped"] = None
    device = {"id": str(agent.device_id), "identity": "cr-1", "model": "CCR2004"}
    batch["inventory_patch"] = {"devices": [device]}
    batch["tenant_id"] = None
    return batch


def only_item(valid_batch, kind):
    """The same batch with only the items of one kind."""
    empty = {"metrics": [], "events": [], "inventory_patch": None}
    return {**valid_batch, **empty, kind: valid_batch[kind]}


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch):
    from apps.ingest import limits

    monkeypatch.setattr(limits, "admit_request", lambda **_: None)


def test_every_body_of_the_corpus_is_rejected_and_stores_nothing(
    agent, acme, stored, valid_batch, record_property
):
    wrong, count = [], 0
    for kind in (None, "metrics", "events", "inventory_patch"):
        batch = valid_batch if kind is None else only_item(valid_batch, kind)
        for case in hostile_batches(batch, kind):
            count += 1
            answer = agent.post("batch", renumbered(case.body, valid_batch, count))
            if complaint := problem_of(answer, case):
                wrong.append((case.name, answer.status_code, complaint))
    with acting_in(acme):
        assert Device.objects.get(pk=agent.device_id).name == "cr-pop-1"

    record_property("bar", f"I5 hostile bodies: {count} sent, {len(wrong)} accepted")
    assert wrong == []
    assert (stored()["Series"], stored()["Event"]) == (0, 0)
    assert count >= AT_LEAST
    assert agent.send(agent.metric(), sequence=count + 1).json()["accepted"]["metrics"] == 1


def renumbered(body: bytes, valid_batch, sequence: int) -> bytes:
    """The body as the next batch of its stream: an accepted batch has used its sequence and its id."""
    body = body.replace(b'"sequence": 1', b'"sequence": %d' % sequence)
    return body.replace(valid_batch["batch_id"].encode(), str(uuid4()).encode())


def problem_of(answer, case) -> str:
    if answer.status_code in REFUSED:
        return "" if answer.json().get("code") else "no code"
    if answer.status_code != 200 or case.item is None:
        return "accepted"
    body = answer.json()
    accepted = body["accepted"]["metrics"] + body["accepted"]["events"]
    return "" if not accepted and (body["rejected"] or body.get("duplicate")) else "accepted"


def test_random_mutations_raise_only_domain_errors(agent, valid_batch, record_property):
    record_property("bar", fuzz(agent, valid_batch, runs=3_000))


@pytest.mark.long
def test_a_million_random_mutations_raise_only_domain_errors(agent, valid_batch, record_property):
    record_property("bar", fuzz(agent, valid_batch, runs=1_000_000))


def fuzz(agent, valid_batch, runs: int) -> str:
    seed = int(os.environ.get("ISPVM_SEED", random.SystemRandom().randrange(2**32)))
    rng, text = random.Random(seed), json.dumps(valid_batch).encode()
    validator = ItemValidator(clock.now(), {agent.device_id: ("device", agent.device_id)})
    read = refused = 0
    for _ in range(runs):
        body = mutate(text, rng)
        try:
            batch = parse_batch(body)
        except DomainError:
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}: {body!r}") from error
        read += 1
        partition_items("metric", batch.metrics, validator.metric)
        partition_items("event", batch.events, validator.event)
    assert read, "no mutation could be parsed, so the validation was not tested"
    assert refused
    return f"I5 mutated bodies: {runs} (seed {seed}), read {read}, refused {refused}, broken 0"
