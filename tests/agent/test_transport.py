"""Enrollment, certificate, config and push against the real ingest application, working and failing."""

import gzip
import json
import random
import socket
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.buffer.batch_writer import BatchWriter
from agent.buffer.store import Buffer
from agent.errors import AgentError, RequestRefused, ServerUnreachable
from agent.protocol.batch import BATCH_SCHEMA
from agent.protocol.tokens import TokenContent, parse_token
from agent.samples import Event, PollResult, Sample
from agent.state import StateDir
from agent.transport import http
from agent.transport.certificate import Renewal
from agent.transport.config_loop import ConfigLoop
from agent.transport.enroll import enroll
from agent.transport.heartbeat import Heartbeat
from agent.transport.ingest_client import IngestClient
from agent.transport.push import Pusher
from agent.transport.tls import own_certificate
from apps.agents import services as agents
from apps.agents.models import Agent, AgentCertificate
from apps.core import clock
from apps.ingest.models import BatchReceipt, Stream
from apps.telemetry.models import Series
from apps.tenancy import acting_in
from tests.agent.conftest import ACTOR
from tests.slots import free_port
from tests.supervisor.waiting import HANG_SECONDS, eventually

RNG = random.Random(1)
#: Seconds, longer than any test waits.
NEVER = 10 * HANG_SECONDS


@pytest.fixture
def member(ingest, tmp_path: Path):
    """An enrolled state folder, and its device."""
    text, device = ingest.token()
    state = StateDir(tmp_path / "state")
    state.create()
    enroll(state, parse_token(text))
    return state, device


@pytest.fixture
def client(member):
    instance = IngestClient(member[0], "")
    yield instance
    instance.http().close()


class TestEnrollment:
    def test_a_ca_other_than_the_pinned_one_gets_no_secret(self, ingest, tmp_path):
        token = parse_token(ingest.token()[0])
        forged = TokenContent(token.url, "0" * 64, token.secret)
        state = StateDir(tmp_path)
        with pytest.raises(AgentError, match="not the one that the token names"):
            enroll(state, forged)

        assert all(b"enroll" not in path.encode() for _, path, _ in ingest.server.requests)
        assert not state.is_enrolled()

    def test_a_token_works_once(self, ingest, tmp_path, capsys):
        text, _ = ingest.token()
        first = ["enroll", "--state-dir", str(tmp_path / "one")]
        (tmp_path / "token").write_text(text + "\n")
        assert main([*first, "--token-file", str(tmp_path / "token")]) == 0
        assert main(["enroll", "--token", text, "--state-dir", str(tmp_path / "two")]) == 1

        assert "refused this token" in capsys.readouterr().err
        assert not StateDir(tmp_path / "two").is_enrolled()

    def test_an_enrolled_folder_is_not_overwritten_without_replace(self, ingest, tmp_path, capsys):
        command = ["enroll", "--state-dir", str(tmp_path / "state"), "--token"]
        assert main([*command, ingest.token()[0]]) == 0
        first = StateDir(tmp_path / "state").enrollment()
        text, _ = ingest.token("pop-2")
        assert main([*command, text]) == 1
        assert "add --replace" in capsys.readouterr().err

        (tmp_path / "state/buffer").mkdir()
        (tmp_path / "state/buffer/000000000001.segment").touch()
        assert main([*command, text, "--replace"]) == 0
        assert StateDir(tmp_path / "state").enrollment().agent_id != first.agent_id
        assert (tmp_path / "state/former-1/buffer/000000000001.segment").exists()

    @pytest.mark.parametrize("text", ["", "hello", "ispvm1.e30"])
    def test_an_invalid_token_is_reported_in_one_line(self, text, tmp_path, capsys):
        (tmp_path / "token").write_text(text)
        command = ["enroll", "--token-file", str(tmp_path / "token")]
        assert main([*command, "--state-dir", str(tmp_path / "state")]) == 1

        assert capsys.readouterr().err.count("\n") == 1

    def test_a_server_that_does_not_listen(self, tmp_path, capsys):
        token = TokenContent(f"https://127.0.0.1:{free_port()}", "0" * 64, "secret").text()
        assert main(["enroll", "--token", token, "--state-dir", str(tmp_path / "s")]) == 1

        assert "Connection refused" in capsys.readouterr().err

    def test_run_and_status_require_an_enrolled_folder(self, tmp_path, capsys):
        for command in ("run", "status"):
            assert main([command, "--state-dir", str(tmp_path)]) == 1
            assert "enroll" in capsys.readouterr().err

    def test_two_runs_on_one_folder_refuse(self, member, capsys):
        state, _ = member
        with state.lock():
            assert main(["run", "--state-dir", str(state.folder)]) == 1

        assert "Another agent process" in capsys.readouterr().err


class TestHeartbeatAndConfig:
    def test_heartbeat_measures_the_skew_and_triggers_the_config(self, ingest, member, client):
        state, device = member
        stop, configs = threading.Event(), []
        config_loop = ConfigLoop(state, client, stop, RNG, configs.append)
        beat = Heartbeat(
            state, client, stop, RNG, boot_id="0" * 32, health=lambda: {"jobs_running": 1.0}
        )
        beat.on_version = config_loop.notify_version
        wait = beat.run_once()

        assert 9 < wait <= 10
        assert abs(beat.skew) < 1
        assert config_loop._wake.is_set()
        config_loop.run_once()
        assert [one["id"] for one in configs[0]["devices"]] == [str(device.id)]
        config_loop.run_once()
        assert len(configs) == 1, "304"
        config_loop._wake.clear()
        beat.run_once()
        assert not config_loop._wake.is_set()
        fresh = ConfigLoop(state, client, stop, RNG, configs.append)
        fresh.apply_saved_config()
        assert configs[1] == configs[0], "a restart without the server uses the saved config"

    def test_a_failure_is_logged_once_and_its_end_too(self, ingest, member, client, caplog):
        state, _ = member
        beat = Heartbeat(state, client, threading.Event(), RNG, boot_id="0" * 32, health=dict)
        ingest.server.refuse = lambda *_: (
            503,
            [("Retry-After", "7")],
            b'{"code":"x","detail":"y"}',
        )
        caplog.set_level("INFO")
        assert beat._attempt() == 7
        assert beat.is_failing
        beat._attempt()
        ingest.server.refuse = lambda *_: None
        beat._attempt()

        records = [r for r in caplog.records if r.name == "agent.transport.loop"]
        assert [r.getMessage() for r in records] == ["server_request_failed", "server_reachable"]
        assert records[0].error == "The server refused (503 x): y"

    def test_renews_at_half_of_the_lifetime_and_uses_the_new_certificate(
        self, ingest, member, client
    ):
        state, _ = member
        before = own_certificate(state.identity)
        renewal = Renewal(state, client, random.Random(3))
        lifetime = before.not_valid_after_utc - before.not_valid_before_utc
        share = (renewal.due_at() - before.not_valid_before_utc) / lifetime
        assert 0.4 <= share <= 0.6
        assert not renewal.renew_if_due(datetime.now(UTC))
        assert renewal.renew_if_due(datetime.now(UTC) + lifetime)

        after = own_certificate(state.identity)
        assert after.serial_number != before.serial_number
        assert state.identity.stat().st_mode & 0o777 == 0o600
        assert client.config(None) is not None
        with acting_in(ingest.tenant):
            assert AgentCertificate.objects.count() == 2

    def test_a_revoked_agent_gets_no_config(self, ingest, member, client):
        with acting_in(ingest.tenant):
            agents.revoke_agent(agent=Agent.objects.get(), actor=ACTOR, at=clock.now())
        with pytest.raises(RequestRefused) as caught:
            client.config(None)

        assert caught.value.status in {401, 403}

    def test_a_certificate_of_another_server_is_refused(self, ingest, client, tmp_path):
        other = agents.write_listener_certificate(
            folder=tmp_path / "other", hosts=["192.0.2.1"], actor=ACTOR, at=clock.now()
        )
        ingest.server.context.load_cert_chain(other.certificate, other.key)
        with pytest.raises(ServerUnreachable, match="certificate verify failed"):
            client.config(None)


class TestPush:
    @pytest.fixture
    def batch_writer(self, member) -> BatchWriter:
        state, _ = member
        return BatchWriter(Buffer(state.buffer), agent_id=state.enrollment().agent_id)

    @pytest.fixture
    def pusher(self, batch_writer, client) -> Pusher:
        self.unknown = []
        return Pusher(
            batch_writer._buffer,
            client,
            threading.Event(),
            RNG,
            lambda: self.unknown.append(1),
            boot_id=batch_writer.boot_id,
        )

    def put(self, batch_writer: BatchWriter, device, *numbers: int) -> None:
        for number in numbers:
            at = time.time() - 100 + number
            event = Event(at, "device.rebooted", "device", str(device.id), {"old": 2, "new": 1})
            sample = Sample(at, "device.cpu_pct", str(device.id), float(number), "routeros_api")
            batch_writer.put(PollResult((sample,), (event,)))
            batch_writer.flush()

    def test_batches_are_of_the_published_schema_and_are_stored(
        self, ingest, member, batch_writer, pusher
    ):
        import jsonschema

        self.put(batch_writer, member[1], 1)
        body = json.loads(gzip.decompress(batch_writer._buffer.peek().body))
        jsonschema.Draft202012Validator(BATCH_SCHEMA).validate(body)
        assert pusher.run_once() == 0

        assert pusher.pushed_count == 1
        assert batch_writer._buffer.depth == 0
        with acting_in(ingest.tenant):
            receipt = BatchReceipt.objects.get()
            assert (receipt.metrics, receipt.events, receipt.rejected) == (1, 1, 0)

    def test_after_a_lost_response_the_same_bytes_are_sent_again(
        self, ingest, member, batch_writer, pusher
    ):
        self.put(batch_writer, member[1], 1)
        plain = ingest.server.application

        def stores_and_disconnects(environ, start_response):
            plain(environ, start_response)
            raise ConnectionResetError

        ingest.server.application = stores_and_disconnects
        with pytest.raises(ServerUnreachable):
            pusher.run_once()
        ingest.server.application = plain
        pusher.run_once()

        bodies = {body for method, path, body in ingest.server.requests if path.endswith("/batch")}
        assert len(bodies) == 1
        with acting_in(ingest.tenant):
            assert BatchReceipt.objects.count() == 1

    def test_an_outage_and_a_restart_lose_nothing_and_keep_the_order(
        self, ingest, member, batch_writer, pusher
    ):
        ingest.server.refuse = lambda *_: (503, [], b"{}")
        self.put(batch_writer, member[1], *range(1, 8))
        with pytest.raises(RequestRefused):
            pusher.run_once()
        state, device = member
        second = BatchWriter(Buffer(state.buffer), agent_id=state.enrollment().agent_id)
        self.put(second, device, 8, 9)
        client = IngestClient(state, "")
        second_pusher = Pusher(
            second._buffer,
            client,
            threading.Event(),
            RNG,
            lambda: None,
            boot_id=second.boot_id,
        )
        ingest.server.refuse = lambda *_: None
        while second._buffer.depth:
            second_pusher.run_once()
        client.http().close()

        with acting_in(ingest.tenant):
            streams = {str(stream.boot_id): stream.high for stream in Stream.objects.all()}
        assert streams == {batch_writer.boot_id: 7, second.boot_id: 2}
        assert second_pusher.pushed_count == 9

    @pytest.mark.parametrize("status", [400, 409, 413, 415])
    def test_a_permanently_refused_batch_blocks_no_other(
        self, status, ingest, member, batch_writer, pusher, caplog
    ):
        self.put(batch_writer, member[1], 1, 2)
        refusals = [(status, [], b'{"code":"no","detail":"never"}')]
        ingest.server.refuse = lambda *_: refusals.pop() if refusals else None
        pusher.run_once()
        pusher.run_once()

        (quarantined,) = (member[0].buffer / "quarantine").iterdir()
        assert json.loads(gzip.decompress(quarantined.read_bytes()))["sequence"] == 1
        assert quarantined.name.endswith(f"-{status}.json.gz")
        assert "batch_quarantined" in caplog.text
        assert (pusher.pushed_count, batch_writer._buffer.depth) == (1, 0)

    def test_a_batch_on_which_the_server_keeps_failing_is_quarantined(
        self, ingest, member, batch_writer, pusher, monkeypatch
    ):
        monkeypatch.setattr("agent.transport.push.MAX_SERVER_ERRORS", 3)
        self.put(batch_writer, member[1], 1)
        ingest.server.refuse = lambda *_: (500, [], b"oops")
        for _ in range(2):
            with pytest.raises(RequestRefused):
                pusher.run_once()
        pusher.run_once()

        assert batch_writer._buffer.depth == 0

    def test_rejected_items_are_logged_and_unknown_entities_reported(
        self, ingest, member, batch_writer, pusher, caplog
    ):
        sample = Sample(
            time.time(), "device.cpu_pct", "1" * 8 + "-0000-4000-8000-000000000000", 1, "probe"
        )
        batch_writer.put(PollResult((sample,)))
        batch_writer.flush()
        pusher.run_once()

        assert self.unknown == [1]
        assert "batch_items_rejected" in caplog.text

    def test_new_entities_and_their_samples_are_in_one_batch(
        self, ingest, member, batch_writer, pusher
    ):
        from agent.normalize.entities import InventoryCache
        from agent.normalize.metrics import samples_of
        from agent.normalize.readings import Cost, InterfaceReading, Reading

        _, device = member
        port = InterfaceReading("ether1", "ether", is_running=True, is_disabled=False)
        reading = Reading(time.time(), Cost(1.0, 1, 1, 1), interfaces=[port])
        none = {"ospf_neighbors": [], "bgp_peers": [], "services": []}
        patch = InventoryCache().diff(device.id, reading)
        batch_writer.put(
            PollResult(tuple(samples_of(device.id, reading, none, "routeros_api")), patch=patch)
        )
        batch_writer.flush()
        pusher.run_once()

        with acting_in(ingest.tenant):
            assert BatchReceipt.objects.get().rejected == 0
            assert "interface.oper_up" in set(Series.objects.values_list("metric", flat=True))


def test_a_connection_that_hangs_times_out(member, monkeypatch, tmp_path):
    """The server accepts the connection and never sends a byte."""
    state, _ = member
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(http, "READ_SECONDS", NEVER)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        enrollment = state.enrollment()
        state.save_enrollment(
            type(enrollment)(f"https://127.0.0.1:{port}", enrollment.agent_id, enrollment.tenant_id)
        )
        with pytest.raises(ServerUnreachable, match="timed out"):
            IngestClient(state, "").config(None)


def test_a_server_that_stops_responding_times_out(ingest, client, monkeypatch):
    client.config(None)
    client.http().close()
    monkeypatch.setattr(http, "READ_SECONDS", 0.3)
    release = threading.Event()
    ingest.server.refuse = lambda *_: release.wait(NEVER) and (503, [], b"{}")
    with pytest.raises(ServerUnreachable, match="timed out"):
        client.config(None)
    release.set()


def test_an_idle_connection_that_the_server_closed_is_reopened(ingest, client):
    client.config(None)
    client.http()._connection.sock.shutdown(socket.SHUT_RDWR)

    assert client.config(None) is not None


def test_connections_are_reused(ingest, client):
    for _ in range(5):
        client.config(None)
    handshakes = client.http()._connection.sock.session_reused

    assert handshakes is False, "the first connection, still"
    eventually(
        lambda: len([1 for _, path, _ in ingest.server.requests if path.endswith("config")]) == 5
    )


def test_the_certificate_is_valid_for_30_days(member):
    certificate = own_certificate(member[0].identity)

    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc > timedelta(days=29)
