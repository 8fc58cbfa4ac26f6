"""Every receiver behavior: one attempt, bounded in time and memory, recorded correctly, and no event lost."""

import random
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address

import pytest

from apps.core import clock
from apps.core.http import EgressClient
from apps.delivery import services
from apps.delivery.choices import DeliveryState, Outcome
from apps.delivery.models import Attempt, Delivery
from apps.tenancy import acting_in
from apps.webhooks.channel import WebhookChannel
from apps.webhooks.models import Endpoint
from tests.core.http.certificates import make_certificate
from tests.core.http.servers import ScriptedServer, answer
from tests.supervisor.waiting import HANG_SECONDS
from tests.webhooks.conftest import LOOPBACK, emit_incident
from tests.webhooks.receivers import RECEIVERS, Receiver

pytestmark = pytest.mark.django_db(transaction=True)

HOST = "hook.example"


def client_with(seconds: float) -> EgressClient:
    return EgressClient(
        LOOPBACK,
        resolver=lambda *_: [ip_address("127.0.0.1")],
        connect_seconds=HANG_SECONDS,
        total_seconds=seconds,
    )


@contextmanager
def running(receiver: Receiver, tmp_path) -> Iterator[tuple[ScriptedServer, str, str]]:
    """The receiver, its URL, and the certificate authority that its endpoint trusts."""
    if receiver.tls in ("", "none"):
        with ScriptedServer(receiver.script) as server:
            scheme = "https" if receiver.tls else "http"
            yield server, f"{scheme}://{HOST}:{server.port}/", ""
        return
    name = "elsewhere.example" if receiver.tls == "other host" else HOST
    certificate, key = make_certificate(valid=receiver.tls != "expired", name=name)
    path = tmp_path / "receiver.pem"
    path.write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    trusted = "" if receiver.tls == "unknown" else certificate.decode()
    with ScriptedServer(receiver.script, tls=context) as server:
        yield server, f"https://{HOST}:{server.port}/", trusted


def deliver(endpoint: Endpoint, at, seconds: float = HANG_SECONDS) -> int:
    return services.deliver_due(
        tenant_id=endpoint.tenant_id,
        destination_id=endpoint.id,
        channel=WebhookChannel(lambda: client_with(seconds)),
        rng=random.Random(1),
        now=lambda: at,
    )


def test_there_are_sixty(record_property):
    names = [receiver.name for receiver in RECEIVERS]

    assert len(set(names)) == len(names)
    assert len(names) >= 60
    record_property("bar", f"W2 receiver behaviors: {len(names)}")


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda receiver: receiver.name)
def test_causes_one_bounded_attempt_that_is_recorded_correctly(
    acme, make_endpoint, receiver, tmp_path
):
    with running(receiver, tmp_path) as (server, url, ca_pem):
        endpoint = make_endpoint(server.url)
        with acting_in(acme):
            Endpoint.objects.update(url=url, ca_pem=ca_pem)
        emit_incident(acme)
        at = clock.now()

        # A hanging receiver hangs until the test ends: an unbounded attempt would never finish.
        assert deliver(endpoint, at, receiver.seconds) == 1

        assert server.connections == 1, "no redirect followed, no immediate retry"
    with acting_in(acme):
        attempt, delivery = Attempt.objects.get(), Delivery.objects.get()
    assert (attempt.outcome, attempt.status) == (receiver.outcome, receiver.status)
    assert attempt.error_code in receiver.code.split("|")
    assert len(attempt.response_head) <= 1024
    if receiver.outcome is Outcome.DELIVERED:
        assert delivery.state == DeliveryState.DELIVERED
        return
    assert delivery.state == DeliveryState.PENDING
    assert timedelta(seconds=4) <= delivery.next_attempt_at - at <= timedelta(seconds=12)


def test_a_failed_event_arrives_with_the_same_bytes_after_the_receiver_recovered(
    acme, make_endpoint
):
    with ScriptedServer(answer("500 Oops")) as server:
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        at = clock.now()
        deliver(endpoint, at)
        server.script = answer("204 No Content")

        assert deliver(endpoint, at + timedelta(seconds=13)) == 1

        first, second = (request.partition(b"\r\n\r\n")[2] for request in server.requests)
    assert first == second
