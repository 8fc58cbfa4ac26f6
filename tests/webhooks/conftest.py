"""Fixtures: an endpoint of a tenant, a scripted receiver, and real delivery between them."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from apps.authorization.actors import Actor
from apps.core import clock
from apps.core.http import EgressClient, EgressPolicy
from apps.delivery import services as delivery
from apps.events.dispatch import dispatch_tenant
from apps.events.outbox import emit
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.webhooks import services
from apps.webhooks.channel import WebhookChannel
from apps.webhooks.models import Endpoint
from tests.core.http.servers import ScriptedServer, answer
from tests.supervisor.waiting import HANG_SECONDS
from tests.webhooks.samples import incident

LOOPBACK = EgressPolicy(allow=(SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),))
CLIENT = EgressClient(LOOPBACK, connect_seconds=HANG_SECONDS, total_seconds=HANG_SECONDS)
CHANNEL = WebhookChannel(lambda: CLIENT)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch) -> None:
    """No broker: tests call the tasks directly, in one call however slow the machine is."""
    from apps.delivery.services import delivering
    from apps.events import jobs

    monkeypatch.setattr(jobs, "send", lambda *_a, **_k: True)
    monkeypatch.setattr(delivering, "BUDGET_SECONDS", HANG_SECONDS)
    monkeypatch.setattr(delivering, "LEASE_SECONDS", HANG_SECONDS)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(answer("204 No Content")) as started:
        yield started


@pytest.fixture
def make_endpoint(acme: Tenant, actor: Actor) -> Callable[..., Endpoint]:
    def make(url: str, name: str = "pager", tenant: Tenant = acme, **fields: Any) -> Endpoint:
        with acting_in(tenant):
            endpoint, secret = services.create_endpoint(
                name=name, url=url, actor=actor, at=clock.now(), policy=LOOPBACK, **fields
            )
        endpoint.shown_secret = secret
        return endpoint

    return make


def emit_incident(tenant: Tenant, topic: str = "incident.opened", **parts: Any) -> UUID:
    """An event as the incidents app emits it, handed to its subscribers."""
    snapshot = incident(**parts)
    with acting_in(tenant):
        event = emit(topic=topic, key=str(snapshot["id"]), payload=snapshot)
    dispatch_tenant(tenant.id)
    return event.id


def deliver(
    endpoint: Endpoint,
    *,
    at: datetime | None = None,
    seed: int = 1,
    seconds: float = HANG_SECONDS,
) -> int:
    """Deliver as a worker does when the endpoint is due; ``seconds`` is the response timeout."""
    now = clock.now if at is None else (lambda: at)
    client = EgressClient(LOOPBACK, connect_seconds=HANG_SECONDS, total_seconds=seconds)
    return delivery.deliver_due(
        tenant_id=endpoint.tenant_id,
        destination_id=endpoint.id,
        channel=WebhookChannel(lambda: client),
        rng=random.Random(seed),
        now=now,
    )
