"""Enrolment, certificate, config and push against the real ingest application, and against one in trouble."""

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
from agent.buffer.outbox import Outbox
from agent.buffer.store import Buffer
from agent.errors import AgentError, Refused, ServerUnreachable
from agent.protocol.batch import BATCH_SCHEMA
from agent.protocol.tokens import EnrolmentToken, parse_token
from agent.samples import Findings, Happening, Sample
from agent.state import StateDir
from agent.transport import http
from agent.transport.certificate import Renewal
from agent.transport.contact import ConfigKeeper, Heartbeat
from agent.transport.enroll import enroll
from agent.transport.push import Pusher
from agent.transport.server import Lane
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
def lane(member):
    made = Lane(member[0], "")
    yield made
    made.client().close()


class TestEnrolment:
    def test_another_ca_than_the_token_names_gets_no_secret(self, ingest, tmp_path):
        token = parse_token(ingest.token()[0])
        forged = EnrolmentToken(token.url, "0" * 64, token.secret)
        state = StateDir(tmp_path)
        with pytest.raises(AgentError, match="not the one that the token names"):
            enroll(state, forged)

        assert all(b"enroll" not in path.encode() for _, path, _ in ingest.server.seen)
        assert not state.is_enrolled()

    def test_a_token_works_once(self, ingest, tmp_path, capsys):
        text, _ = ingest.token()
        first = ["enroll", "--state-dir", str(tmp_path / "one")]
        (tmp_path / "token").write_text(text + "\n")
        assert main([*first, "--token-file", str(tmp_path / "token")]) == 0
        assert main(["enroll", "--token", text, "--state-dir", str(tmp_path / "two")]) == 1

        assert "does not take this token" in capsys.readouterr().err
        assert not StateDir(tmp_path / "two").is_enrolled()

    def test_a_folder_that_is_an_agent_is_not_overwritten_by_accident(
        self, ingest, tmp_path, capsys
    ):
        command = ["enroll", "--state-dir", str(tmp_path / "state"), "--token"]
        assert main([*command, ingest.token()[0]]) == 0
        first = StateDir(tmp_path / "state").membership()
        text, _ = ingest.token("pop-2")
        assert main([*command, text]) == 1
        assert "add --replace" in capsys.readouterr().err

        (tmp_path / "state/buffer").mkdir()
        (tmp_path / "state/buffer/000000000001.segment").touch()
        assert main([*command, text, "--replace"]) == 0
        assert StateDir(tmp_path / "state").membership().agent_id != first.agent_id
        assert (tmp_path / "state/former-1/buffer/000000000001.segment").exists()

    @pytest.mark.parametrize("text", ["", "hello", "ispvm1.e30"])
    def test_what_is_no_token_is_said_in_one_sentence(self, text, tmp_path, capsys):
        (tmp_path / "token").write_text(text)
        command = ["enroll", "--token-file", str(tmp_path / "token")]
        assert main([*command, "--state-dir", str(tmp_path / "state")]) == 1

        assert capsys.readouterr().err.count("\n") == 1

    def test_an_address_that_nobody_answers_at(self, tmp_path, capsys):
        token = EnrolmentToken(f"https://127.0.0.1:{free_port()}", "0" * 64, "secret").text()
        assert main(["enroll", "--token", token, "--state-dir", str(tmp_path / "s")]) == 1

        assert "Connection refused" in capsys.readouterr().err

    def test_run_and_status_want_an_enrolled_folder(self, tmp_path, capsys):
        for command in ("run", "status"):
            assert main([command, "--state-dir", str(tmp_path)]) == 1
            assert "enroll" in capsys.readouterr().err

    def test_two_runs_on_one_folder_refuse(self, member, capsys):
        state, _ = member
        with state.lock():
            assert main(["run", "--state-dir", str(state.folder)]) == 1

        assert "Another agent process" in capsys.readouterr().err


class TestContact:
    def test_heartbeat_measures_the_clocks_and_brings_the_config(self, ingest, member, lane):
        state, device = member
        stop, got = threading.Event(), []
        keeper = ConfigKeeper(state, lane, stop, RNG, got.append)
        beat = Heartbeat(
            state, lane, stop, RNG, boot_id="0" * 32, health=lambda: {"jobs_running": 1.0}
        )
        beat.on_version = keeper.heard_version
        wait = beat.once()

        assert 9 < wait <= 10
        assert abs(beat.skew) < 1
        assert keeper._wake.is_set()
        keeper.once()
        assert [one["id"] for one in got[0]["devices"]] == [str(device.id)]
        keeper.once()
        assert len(got) == 1, "304"
        keeper._wake.clear()
        beat.once()
        assert not keeper._wake.is_set()
        fresh = ConfigKeeper(state, lane, stop, RNG, got.append)
        fresh.start_with_last()
        assert got[1] == got[0], "a restart without the server goes on with what it had"

    def test_a_lane_that_fails_says_so_once_and_when_it_is_over(self, ingest, member, lane, caplog):
        state, _ = member
        beat = Heartbeat(state, lane, threading.Event(), RNG, boot_id="0" * 32, health=dict)
        ingest.server.refuse = lambda *_: (
            503,
            [("Retry-After", "7")],
            b'{"code":"x","detail":"y"}',
        )
        caplog.set_level("INFO")
        assert beat._try() == 7
        assert beat.is_failing
        beat._try()
        ingest.server.refuse = lambda *_: None
        beat._try()

        assert [r.getMessage() for r in caplog.records if r.name == "agent.transport.lanes"] == [
            "The server refused (503 x): y",
            "server answers again",
        ]

    def test_renews_at_half_of_its_life_and_goes_on_with_the_new_one(self, ingest, member, lane):
        state, _ = member
        before = own_certificate(state.identity)
        renewal = Renewal(state, lane, random.Random(3))
        life = before.not_valid_after_utc - before.not_valid_before_utc
        share = (renewal.due_at() - before.not_valid_before_utc) / life
        assert 0.4 <= share <= 0.6
        assert not renewal.renew_if_due(datetime.now(UTC))
        assert renewal.renew_if_due(datetime.now(UTC) + life)

        after = own_certificate(state.identity)
        assert after.serial_number != before.serial_number
        assert state.identity.stat().st_mode & 0o777 == 0o600
        assert lane.config(None) is not None
        with acting_in(ingest.tenant):
            assert AgentCertificate.objects.count() == 2

    def test_a_revoked_agent_keeps_what_it_has(self, ingest, member, lane):
        with acting_in(ingest.tenant):
            agents.revoke_agent(agent=Agent.objects.get(), actor=ACTOR, at=clock.now())
        with pytest.raises(Refused) as caught:
            lane.config(None)

        assert caught.value.status in {401, 403}

    def test_no_other_servers_certificate_is_taken(self, ingest, lane, tmp_path):
        other = agents.write_listener_certificate(
            folder=tmp_path / "other", hosts=["192.0.2.1"], actor=ACTOR, at=clock.now()
        )
        ingest.server.context.load_cert_chain(other.certificate, other.key)
        with pytest.raises(ServerUnreachable, match="certificate verify failed"):
            lane.config(None)


class TestPush:
    @pytest.fixture
    def outbox(self, member) -> Outbox:
        state, _ = member
        return Outbox(Buffer(state.buffer), agent_id=state.membership().agent_id)

    @pytest.fixture
    def pusher(self, outbox, lane) -> Pusher:
        self.unknown = []
        return Pusher(outbox._buffer, lane, threading.Event(), RNG, lambda: self.unknown.append(1))

    def put(self, outbox: Outbox, device, *numbers: int) -> None:
        for number in numbers:
            at = time.time() - 100 + number
            event = Happening(at, "device.rebooted", "device", str(device.id), {"old": 2, "new": 1})
            sample = Sample(at, "device.cpu_pct", str(device.id), float(number), "routeros_api")
            outbox.put(Findings((sample,), (event,)))
            outbox.flush()

    def test_batches_are_of_the_published_schema_and_are_stored(
        self, ingest, member, outbox, pusher
    ):
        import jsonschema

        self.put(outbox, member[1], 1)
        body = json.loads(gzip.decompress(outbox._buffer.peek().body))
        jsonschema.Draft202012Validator(BATCH_SCHEMA).validate(body)
        assert pusher.once() == 0

        assert pusher.pushed == 1
        assert outbox._buffer.depth == 0
        with acting_in(ingest.tenant):
            receipt = BatchReceipt.objects.get()
            assert (receipt.metrics, receipt.events, receipt.rejected) == (1, 1, 0)

    def test_an_answer_that_got_lost_makes_a_retry_of_the_same_bytes(
        self, ingest, member, outbox, pusher
    ):
        self.put(outbox, member[1], 1)
        plain = ingest.server.application

        def takes_it_and_breaks_off(environ, start_response):
            plain(environ, start_response)
            raise ConnectionResetError

        ingest.server.application = takes_it_and_breaks_off
        with pytest.raises(ServerUnreachable):
            pusher.once()
        ingest.server.application = plain
        pusher.once()

        bodies = {body for method, path, body in ingest.server.seen if path.endswith("/batch")}
        assert len(bodies) == 1
        with acting_in(ingest.tenant):
            assert BatchReceipt.objects.count() == 1

    def test_an_outage_and_a_restart_lose_nothing_and_keep_the_order(
        self, ingest, member, outbox, pusher
    ):
        ingest.server.refuse = lambda *_: (503, [], b"{}")
        self.put(outbox, member[1], *range(1, 8))
        with pytest.raises(Refused):
            pusher.once()
        state, device = member
        second = Outbox(Buffer(state.buffer), agent_id=state.membership().agent_id)
        self.put(second, device, 8, 9)
        lane = Lane(state, "")
        again = Pusher(second._buffer, lane, threading.Event(), RNG, lambda: None)
        ingest.server.refuse = lambda *_: None
        while second._buffer.depth:
            again.once()
        lane.client().close()

        with acting_in(ingest.tenant):
            streams = {str(stream.boot_id): stream.high for stream in Stream.objects.all()}
        assert streams == {outbox.boot_id: 7, second.boot_id: 2}
        assert again.pushed == 9

    @pytest.mark.parametrize("status", [400, 409, 413, 415])
    def test_a_batch_that_is_never_taken_holds_up_no_other(
        self, status, ingest, member, outbox, pusher, caplog
    ):
        self.put(outbox, member[1], 1, 2)
        refusals = [(status, [], b'{"code":"no","detail":"never"}')]
        ingest.server.refuse = lambda *_: refusals.pop() if refusals else None
        pusher.once()
        pusher.once()

        (aside,) = (member[0].buffer / "quarantine").iterdir()
        assert json.loads(gzip.decompress(aside.read_bytes()))["sequence"] == 1
        assert aside.name.endswith(f"-{status}.json.gz")
        assert "quarantine" in caplog.text
        assert (pusher.pushed, outbox._buffer.depth) == (1, 0)

    def test_a_batch_on_which_the_server_breaks_is_set_aside_in_the_end(
        self, ingest, member, outbox, pusher, monkeypatch
    ):
        monkeypatch.setattr("agent.transport.push.MAX_SERVER_FAULTS", 3)
        self.put(outbox, member[1], 1)
        ingest.server.refuse = lambda *_: (500, [], b"oops")
        for _ in range(2):
            with pytest.raises(Refused):
                pusher.once()
        pusher.once()

        assert outbox._buffer.depth == 0

    def test_rejected_items_are_told_and_unknown_entities_asked_for(
        self, ingest, member, outbox, pusher, caplog
    ):
        sample = Sample(
            time.time(), "device.cpu_pct", "1" * 8 + "-0000-4000-8000-000000000000", 1, "probe"
        )
        outbox.put(Findings((sample,)))
        outbox.flush()
        pusher.once()

        assert self.unknown == [1]
        assert "items rejected" in caplog.text

    def test_new_entities_and_their_samples_come_in_one_batch(self, ingest, member, outbox, pusher):
        from agent.normalize.entities import Memory
        from agent.normalize.metrics import samples_of
        from agent.normalize.readings import Cost, InterfaceReading, Reading

        _, device = member
        port = InterfaceReading("ether1", "ether", is_running=True, is_disabled=False)
        reading = Reading(time.time(), Cost(1.0, 1, 1, 1), interfaces=[port])
        none = {"ospf_neighbors": [], "bgp_peers": [], "services": []}
        patch = Memory().news(device.id, reading)
        outbox.put(Findings(tuple(samples_of(device.id, reading, none)), patch=patch))
        outbox.flush()
        pusher.once()

        with acting_in(ingest.tenant):
            assert BatchReceipt.objects.get().rejected == 0
            assert "interface.oper_up" in set(Series.objects.values_list("metric", flat=True))


def test_a_path_that_hangs_is_noticed_soon(member, monkeypatch, tmp_path):
    """Connected, and then nothing: neither in the handshake nor ever after."""
    state, _ = member
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(http, "READ_SECONDS", NEVER)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        membership = state.membership()
        state.save_membership(
            type(membership)(f"https://127.0.0.1:{port}", membership.agent_id, membership.tenant_id)
        )
        with pytest.raises(ServerUnreachable, match="timed out"):
            Lane(state, "").config(None)


def test_a_server_that_stops_answering_is_noticed_soon(ingest, lane, monkeypatch):
    lane.config(None)
    lane.client().close()
    monkeypatch.setattr(http, "READ_SECONDS", 0.3)
    release = threading.Event()
    ingest.server.refuse = lambda *_: release.wait(NEVER) and (503, [], b"{}")
    with pytest.raises(ServerUnreachable, match="timed out"):
        lane.config(None)
    release.set()


def test_an_idle_connection_that_the_server_closed_is_made_anew(ingest, lane):
    lane.config(None)
    lane.client()._connection.sock.shutdown(socket.SHUT_RDWR)

    assert lane.config(None) is not None


def test_kept_connections_are_kept(ingest, lane):
    for _ in range(5):
        lane.config(None)
    handshakes = lane.client()._connection.sock.session_reused

    assert handshakes is False, "the first connection, still"
    eventually(
        lambda: len([1 for _, path, _ in ingest.server.seen if path.endswith("config")]) == 5
    )


def test_life_is_what_the_server_gives(member):
    certificate = own_certificate(member[0].identity)

    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc > timedelta(days=29)
