"""Concurrent workers of one endpoint, and killed workers."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from apps.core import clock
from apps.delivery import services
from apps.delivery.channels import Result, Verdict
from apps.delivery.choices import DeliveryState, Outcome
from apps.delivery.models import Attempt, Delivery
from apps.delivery.services import leasing, settling
from apps.tenancy import acting_in
from tests.core.http.servers import ScriptedServer, answer
from tests.database import url_of_this_test
from tests.supervisor.waiting import eventually
from tests.webhooks.conftest import CHANNEL, deliver, emit_incident

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """The results of ``work`` in as many threads, each with a connection of its own."""
    barrier = threading.Barrier(count)

    def run() -> Any:
        try:
            barrier.wait(300)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [future.result(300) for future in [pool.submit(run) for _ in range(count)]]


class TestLease:
    def test_one_delivery_is_leased_by_one_of_many(self, acme, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        at = clock.now()

        jobs = in_threads(
            6,
            lambda: leasing.lease_due(
                tenant_id=acme.id, destination_id=endpoint.id, most=20, at=at, channel=CHANNEL
            ),
        )

        assert sum(job is not None for job in jobs) == 1

    def test_many_workers_send_each_delivery_once_and_no_more_than_four_at_a_time(
        self, acme, make_endpoint, monkeypatch
    ):
        # The lease must not end while a thread waits for a slow machine.
        monkeypatch.setattr(leasing, "LEASE", timedelta(days=1))
        in_flight_counts = []
        in_flight = 0
        lock = threading.Lock()

        def count(conn, _):
            nonlocal in_flight
            with lock:
                in_flight += 1
                in_flight_counts.append(in_flight)
            time.sleep(0.02)
            with lock:
                in_flight -= 1
            conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        with ScriptedServer(count) as server:
            endpoint = make_endpoint(server.url)
            for n in range(1, 31):
                emit_incident(acme, sequence=n)
            in_threads(6, lambda: deliver(endpoint))
            deliver(endpoint)

        assert len(server.requests) == 30
        assert len({r.partition(b"\r\n\r\n")[2] for r in server.requests}) == 30
        assert max(in_flight_counts) <= CHANNEL.max_senders
        with acting_in(acme):
            assert Delivery.objects.filter(state=DeliveryState.DELIVERED).count() == 30
            assert Attempt.objects.count() == 30

    def test_a_sender_after_its_lease_changes_nothing_but_its_attempt(
        self, acme, server, make_endpoint
    ):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        at = clock.now()
        ids = {"tenant_id": acme.id, "destination_id": endpoint.id, "most": 20, "channel": CHANNEL}
        expired = leasing.lease_due(**ids, at=at)
        second = leasing.lease_due(**ids, at=at + timedelta(seconds=31))
        assert expired is not None
        assert second is not None
        (expired_job,), (job,) = expired.jobs, second.jobs
        assert expired_job.body == job.body

        failed = Result(Verdict.RETRY, Outcome.FAILED, error_code="answer_timeout")
        now = {"at": at, "rng": random.Random(1)}
        assert settling.settle(lease=expired, results=[(expired_job, failed)], **now) == 0
        with acting_in(acme):
            delivery = Delivery.objects.get()
            assert (delivery.state, delivery.failure_count) == (DeliveryState.LEASED, 0)
        good = second.sender.send(job, at=at)
        assert settling.settle(lease=second, results=[(job, good)], **now) == 1
        assert settling.settle(lease=second, results=[(job, good)], **now) == 0

        with acting_in(acme):
            assert Delivery.objects.get().state == DeliveryState.DELIVERED
            assert [a.outcome for a in Attempt.objects.order_by("number")] == [
                Outcome.FAILED,
                Outcome.DELIVERED,
            ]

    def test_two_concurrent_requests_resend_once(self, acme, actor, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        deliver(endpoint)

        def resend() -> bool:
            with acting_in(acme):
                delivery = Delivery.objects.get()
                return services.resend_delivery(delivery=delivery, actor=actor, at=clock.now())

        assert sorted(in_threads(4, resend)) == [False, False, False, True]

    def test_concurrent_fan_out_stores_one_delivery(self, acme, server, make_endpoint):
        from apps.events.models import OutboxEvent
        from apps.events.subscriptions import Event

        make_endpoint(server.url)
        emit_incident(acme)
        with acting_in(acme):
            Delivery.objects.all().delete()
            row = OutboxEvent.objects.get()
        event = Event(row.id, acme.id, row.topic, row.key, row.payload, row.created_at)

        def fan_out() -> None:
            with acting_in(acme):
                services.fan_out(channel=CHANNEL, event=event, at=clock.now())

        in_threads(4, fan_out)

        with acting_in(acme):
            assert Delivery.objects.count() == 1


WORKER = """
import os, random, sys, uuid
from ipaddress import ip_network
from types import SimpleNamespace
import django
django.setup()
from apps.core.http import EgressClient, EgressPolicy
from apps.events import jobs
from apps.delivery.services import deliver_due
from apps.webhooks.channel import WebhookChannel
jobs.send = lambda *a, **k: True
policy = EgressPolicy(allow=(SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),))
deliver_due(
    tenant_id=uuid.UUID(sys.argv[1]), destination_id=uuid.UUID(sys.argv[2]),
    channel=WebhookChannel(lambda: EgressClient(policy)), rng=random.Random(1),
)
"""


def start_worker(endpoint) -> subprocess.Popen:
    """A process that delivers for this endpoint against this test's database."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(endpoint.tenant_id), str(endpoint.id)],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "DATABASE_URL": url_of_this_test(),
            "DJANGO_SETTINGS_MODULE": "ispvm.settings.test",
        },
    )


@pytest.mark.real
class TestKilledWorker:
    @pytest.mark.parametrize("received", [True, False], ids=["after sending", "while connecting"])
    def test_another_sends_the_same_event_and_bytes(self, acme, make_endpoint, received):
        """kill -9 between sending and recording: the receiver has the event, the log does not show it."""
        release = threading.Event()

        def hang(conn, _):
            release.wait(300)

        with ScriptedServer(hang, reads=received) as server:
            endpoint = make_endpoint(server.url)
            event_id = emit_incident(acme)
            worker = start_worker(endpoint)
            try:
                requests = (lambda: server.requests) if received else (lambda: server.connections)
                eventually(lambda: bool(requests()))
            finally:
                os.kill(worker.pid, signal.SIGKILL)
                worker.wait(300)
            release.set()
            with acting_in(acme):
                assert Delivery.objects.get().state == DeliveryState.LEASED
                assert Attempt.objects.get().outcome == Outcome.SENDING
            server.script, server.reads = answer("204 No Content"), True

            assert deliver(endpoint) == 0
            assert deliver(endpoint, at=clock.now() + timedelta(seconds=31)) == 1

        with acting_in(acme):
            delivery = Delivery.objects.get()
            assert delivery.state == DeliveryState.DELIVERED
            outcomes = Attempt.objects.order_by("number").values_list("outcome", flat=True)
            assert list(outcomes) == [Outcome.INTERRUPTED, Outcome.DELIVERED]
        bodies = {r.partition(b"\r\n\r\n")[2] for r in server.requests if r}
        assert bodies == {bytes(delivery.body)}
        assert all(f"webhook-id: {event_id}".encode() in r for r in server.requests if r)

    def test_five_times_at_random_loses_nothing(self, acme, make_endpoint):
        """Every event arrives; repeats have the same id and bytes; each attempt has its own id."""
        seed = int(os.environ.get("ISPVM_SEED", time.time_ns() % 10**6))
        rng = random.Random(seed)
        print(f"seed {seed}")  # noqa: T201  # shown when it fails

        def slow(conn, _):
            time.sleep(0.01)
            conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        with ScriptedServer(slow) as server:
            endpoint = make_endpoint(server.url)
            for n in range(1, 101):
                emit_incident(acme, sequence=n)
            for _ in range(5):
                connections = server.connections
                worker = start_worker(endpoint)
                try:
                    eventually(
                        lambda n=connections, w=worker: (
                            w.poll() is not None or server.connections > n
                        )
                    )
                    time.sleep(rng.uniform(0, 0.15))
                finally:
                    if worker.poll() is None:
                        os.kill(worker.pid, signal.SIGKILL)
                    worker.wait(300)
                with acting_in(acme):  # as if the lease had expired
                    Delivery.objects.filter(state=DeliveryState.LEASED).update(
                        leased_until=clock.now()
                    )
            deliver(endpoint)

        by_event: dict[bytes, set[bytes]] = {}
        attempt_ids = []
        for request in filter(None, server.requests):
            head, _, body = request.partition(b"\r\n\r\n")
            lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            by_event.setdefault(lines[b"webhook-id"], set()).add(body)
            attempt_ids.append(lines[b"X-ISPVM-Delivery-ID"])
        assert len(by_event) == 100, f"seed {seed}"
        assert all(len(bodies) == 1 for bodies in by_event.values())
        assert len(set(attempt_ids)) == len(attempt_ids)
