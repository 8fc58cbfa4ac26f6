"""A real worker on the deliver queue: how soon the first POST comes, while others hang."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings

from apps.events import jobs
from apps.events.dispatch import dispatch_tenant
from apps.events.outbox import emit
from apps.tenancy import acting_in
from tests.core.http.servers import ScriptedServer, answer
from tests.webhooks.samples import incident
from tests.webhooks.test_races import database_url, wait_until

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

EVENTS = 300 if os.environ.get("ISPVM_LONG") else 60
PER_SECOND = 25


@pytest.fixture
def real_bells(monkeypatch, _silent_bells) -> None:
    monkeypatch.undo()
    assert jobs.send.__module__ == "apps.events.jobs"


@pytest.fixture
def worker(tmp_path) -> Iterator[Callable[[], None]]:
    """The launcher's command for the deliver queue, against this test's database."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        log = (tmp_path / "worker.log").open("wb")
        command = [
            *(sys.executable, "-m", "celery", "-A", "ispvm", "worker", "-Q", "deliver"),
            *("--pool", "threads", "--concurrency", "16", "--hostname", f"w{os.getpid()}@test"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "ispvm.settings.test",
            "ISPVM_EGRESS_ALLOW": "127.0.0.0/8",
        }
        with log:
            process = subprocess.Popen(
                command, cwd=Path(__file__).parents[2], env=environment, stdout=log, stderr=log
            )
        started.append(process)
        name = f"w{os.getpid()}@test"
        wait_until(lambda: bool(current_app.control.ping([name], timeout=0.3)), 60)

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def test_one_hanging_endpoint_delays_no_other(acme, make_endpoint, worker, real_bells):
    """From commit to the first POST: 95 of 100 within 2 s, 99 within 5 s."""
    arrived: dict[int, float] = {}

    def note(conn, request):
        conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        sequence = int(request.partition(b'"sequence":')[2].split(b",")[0])
        arrived.setdefault(sequence, time.monotonic())

    with (
        ScriptedServer(note) as good,
        ScriptedServer(lambda conn, _: slow.released.wait(30) and None) as slow,
    ):
        make_endpoint(slow.url, name="hanging")
        make_endpoint(good.url, name="good")
        worker()
        committed = {}
        for sequence in range(1, EVENTS + 1):
            with acting_in(acme):
                emit(topic="incident.updated", key="x", payload=incident(sequence=sequence))
            committed[sequence] = time.monotonic()
            dispatch_tenant(acme.id)
            time.sleep(max(0.0, 1 / PER_SECOND - (time.monotonic() - committed[sequence])))
        wait_until(lambda: len(arrived) == EVENTS, 20)
        hung = slow.connections

    waits = sorted(arrived[sequence] - committed[sequence] for sequence in committed)
    assert hung >= 1
    assert waits[int(len(waits) * 0.95)] <= 2.0
    assert waits[int(len(waits) * 0.99)] <= 5.0


def test_a_killed_broker_bell_is_rung_by_the_due_table(acme, make_endpoint, worker, monkeypatch):
    """The bell is lost (jobs are silent here); the due row alone brings the event out."""
    with ScriptedServer(answer("204 No Content")) as server:
        make_endpoint(server.url)
        worker()
        with acting_in(acme):
            emit(topic="incident.opened", key="x", payload=incident())
        dispatch_tenant(acme.id)
        time.sleep(0.5)
        assert server.requests == []

        monkeypatch.undo()
        from apps.core import clock
        from apps.events import due

        assert due.run_due(at=clock.now()) >= 1
        wait_until(lambda: len(server.requests) == 1, 20)

    assert settings.DATABASES["default"]["NAME"].startswith("test_")
