"""The receiver as a process, and the path from an incident event to its log."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import current_app
from django.conf import settings as django_settings

from apps.core import clock
from apps.delivery import services as delivery
from apps.delivery.choices import DeliveryState
from apps.delivery.models import Delivery
from apps.events import due, jobs
from apps.tenancy import acting_in
from apps.webhooks import services
from tests.webhooks.conftest import emit_incident
from tests.webhooks.samples import NOW, OTHER_SECRET, SECRET, signed_request

PROJECT = Path(__file__).parents[2]


@dataclass
class RunningReceiver:
    process: subprocess.Popen
    port: int
    log: Path
    secrets: Path
    control: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ispvm"

    def entries(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def post(self, headers: dict[str, str], body: bytes) -> int:
        request = urllib.request.Request(self.url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., RunningReceiver]]:
    running: list[RunningReceiver] = []

    def start(*options: str) -> RunningReceiver:
        log, secrets, control = tmp_path / "log.jsonl", tmp_path / "secrets", tmp_path / "control"
        process = subprocess.Popen(
            [
                sys.executable, "-m", "apps.webhooks.receiver", "--listen", "127.0.0.1:0",
                "--secret-file", str(secrets), "--log", str(log), "--control", str(control), *options,
            ],
            cwd=PROJECT,
            env={k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "DATABASE"))},
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        first = process.stdout.readline()
        port = int(re.search(r":(\d+)/", first)[1])
        running_receiver = RunningReceiver(process, port, log, secrets, control)
        running.append(running_receiver)
        return running_receiver

    yield start
    for receiver in running:
        receiver.process.terminate()
        try:
            receiver.process.wait(300)
        finally:
            receiver.process.stdout.close()


class TestReceiver:
    def test_responds_204_logs_and_prints_genuine_requests(self, start):
        receiver = start("--tolerance", str(10**9))
        receiver.secrets.write_text(SECRET + "\n")
        headers, body = signed_request(title="Backhaul\x1b[31m north")

        assert receiver.post(headers, body) == 204
        assert receiver.post(headers, body) == 204

        first, second = receiver.entries()
        assert first["verified"] is True
        assert first["body"] == body.decode()
        assert first["headers"]["webhook-timestamp"] == str(NOW)
        assert (first["repeated"], second["repeated"]) == (False, True)
        receiver.process.send_signal(signal.SIGTERM)
        output = receiver.process.stdout.read()
        assert receiver.process.wait(300) == 0
        assert "verified incident.opened #1 critical Backhaul?[31m north" in output
        assert "(repeated)" in output

    def test_responds_401_with_the_reason_to_others(self, start):
        receiver = start("--tolerance", str(10**9))
        receiver.secrets.write_text(OTHER_SECRET)
        headers, body = signed_request()

        assert receiver.post(headers, body) == 401
        assert receiver.entries()[0]["reason"] == "no value of webhook-signature matches"

    def test_refuses_stale_requests(self, start):
        receiver = start()
        receiver.secrets.write_text(SECRET)

        assert receiver.post(*signed_request()) == 401
        assert "webhook-timestamp" in receiver.entries()[0]["reason"]

    def test_reads_the_secrets_for_each_request(self, start):
        receiver = start("--tolerance", str(10**9))
        headers, body = signed_request()
        assert receiver.post(headers, body) == 401

        receiver.secrets.write_text(f"{OTHER_SECRET}\n{SECRET}\n")
        assert receiver.post(headers, body) == 204

    def test_simulates_failures(self, start):
        receiver = start("--tolerance", str(10**9))
        receiver.secrets.write_text(SECRET)
        headers, body = signed_request()

        receiver.control.write_text("503")
        assert receiver.post(headers, body) == 503
        receiver.control.write_text("down")
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            receiver.post(headers, body)
        assert receiver.entries() == []
        receiver.control.write_text("up")
        assert receiver.post(headers, body) == 204

    def test_remembers_events_after_a_restart_and_an_incomplete_log_line(self, start):
        receiver = start("--tolerance", str(10**9))
        receiver.secrets.write_text(SECRET)
        headers, body = signed_request()
        receiver.post(headers, body)
        receiver.process.kill()
        receiver.process.wait(300)
        with receiver.log.open("a") as file:
            file.write('{"time": "half\n')

        again = start("--tolerance", str(10**9))
        again.post(headers, body)

        assert json.loads(again.log.read_text().splitlines()[-1])["repeated"] is True

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
            b"garbage\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n\xff\xfe",
        ],
        ids=range(6),
    )
    def test_survives_malformed_requests(self, start, data):
        receiver = start("--tolerance", str(10**9))
        receiver.secrets.write_text(SECRET)
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=300) as conn:
            conn.sendall(data)
            conn.shutdown(socket.SHUT_WR)
            conn.recv(4096)

        assert receiver.post(*signed_request()) == 204

    def test_needs_nothing_but_the_standard_library(self):
        code = (
            "import sys; sys.path.insert(0, '.'); import apps.webhooks.receiver.__main__;"
            "sys.exit('django' in sys.modules)"
        )
        result = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=PROJECT, check=False)

        assert result.returncode == 0


@pytest.mark.django_db(transaction=True)
class TestFromIncidentToReceiver:
    """Outbox, subscriber, due table, task, egress client, socket, receiver: everything but the broker."""

    @pytest.fixture(autouse=True)
    def _tasks_run_when_sent(self, monkeypatch, settings):
        settings.ISPVM_EGRESS_ALLOW = (
            SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),
        )

        def run(name, *, queue=None, **arguments):
            current_app.tasks[name].apply(kwargs=arguments, throw=True)
            return True

        monkeypatch.setattr(jobs, "send", run)

    @pytest.fixture
    def endpoint(self, acme, actor):
        def make(receiver: RunningReceiver):
            with acting_in(acme):
                endpoint, secret = services.create_endpoint(
                    name="receiver", url=receiver.url, actor=actor, at=clock.now()
                )
            receiver.secrets.write_text(secret)
            return endpoint

        return make

    def test_each_event_arrives_verified_and_in_its_sequence(self, acme, start, endpoint):
        receiver = start()
        endpoint(receiver)

        emit_incident(acme, "incident.opened", sequence=1)
        emit_incident(acme, "incident.updated", sequence=2, severity="warn")
        emit_incident(acme, "incident.acked", sequence=3)
        emit_incident(acme, "incident.closed", sequence=4, status="closed")

        entries = receiver.entries()
        assert [entry["verified"] for entry in entries] == [True] * 4
        bodies = [json.loads(entry["body"]) for entry in entries]
        assert [body["incident"]["sequence"] for body in bodies] == [1, 2, 3, 4]
        assert [body["event_type"] for body in bodies] == [
            "incident.opened", "incident.updated", "incident.acked", "incident.closed",
        ]  # fmt: skip

    def test_an_outage_delays_events_and_loses_none(self, acme, start, endpoint):
        receiver = start("--mode", "down")
        endpoint(receiver)
        emit_incident(acme)
        with acting_in(acme):
            waiting = Delivery.objects.get()
            assert waiting.state == DeliveryState.PENDING
            Delivery.objects.update(next_attempt_at=clock.now())

        receiver.control.write_text("up")
        assert due.run_due(at=clock.now()) == 0  # not before its due time
        assert due.run_due(at=clock.now() + (waiting.next_attempt_at - waiting.created_at)) == 1

        assert [entry["verified"] for entry in receiver.entries()] == [True]
        assert receiver.entries()[0]["headers"]["x-ispvm-attempt"] == "2"

    def test_a_test_ping_arrives(self, acme, actor, start, endpoint):
        receiver = start()
        running_receiver = endpoint(receiver)
        with acting_in(acme):
            delivery.test_destination(
                destination=running_receiver.destination, actor=actor, at=clock.now()
            )

        entry = receiver.entries()[0]
        assert (entry["verified"], entry["headers"]["x-ispvm-event-type"]) == (True, "webhook.ping")

    def test_no_verification_fails_during_rotations(self, acme, actor, start, endpoint):
        """The receiver gets the new secret between stage and promote and drops the old one later."""
        receiver = start()
        running_receiver = endpoint(receiver)
        old = receiver.secrets.read_text()
        delivery_arguments = {"endpoint": running_receiver, "actor": actor}
        sequence = 0

        def send_some() -> None:
            nonlocal sequence
            for _ in range(2):
                sequence += 1
                emit_incident(acme, sequence=sequence)

        for _ in range(3):
            with acting_in(acme):
                new = services.stage_secret(**delivery_arguments, at=clock.now())
            send_some()
            receiver.secrets.write_text(f"{old}\n{new}")
            send_some()
            with acting_in(acme):
                services.promote_secret(**delivery_arguments, at=clock.now())
            send_some()
            receiver.secrets.write_text(new)
            send_some()
            with acting_in(acme):
                services.retire_secret(**delivery_arguments, at=clock.now())
            send_some()
            old = new

        assert [entry["verified"] for entry in receiver.entries()] == [True] * 30

    def test_examples_are_written_from_accepted_deliveries(self, acme, start, endpoint, tmp_path):
        from django.core.management import call_command

        receiver = start()
        endpoint(receiver)
        emit_incident(acme, "incident.opened", sequence=1)
        folder = tmp_path / "examples"
        folder.mkdir()

        call_command("webhook_examples", tenant="acme", into=folder, verbosity=0)

        assert [path.name for path in folder.iterdir()] == ["incident.opened.json"]
        written = json.loads((folder / "incident.opened.json").read_text())
        assert written == json.loads(receiver.entries()[0]["body"])

    def test_the_task_of_each_due_kind_is_registered(self):
        from apps.delivery.services.scheduling import DELIVER

        assert DELIVER in current_app.tasks
        assert DELIVER in due.kinds()
        assert "apps.webhooks" in django_settings.INSTALLED_APPS


def test_time_is_measured_by_the_receivers_own_clock(start):
    receiver = start()
    receiver.secrets.write_text(SECRET)
    headers, body = signed_request()
    from apps.webhooks.signing import standard_signature

    now = int(time.time())
    headers["webhook-timestamp"] = str(now)
    headers["webhook-signature"] = standard_signature(
        [SECRET], message_id=headers["webhook-id"], timestamp=now, body=body
    )

    assert receiver.post(headers, body) == 204
