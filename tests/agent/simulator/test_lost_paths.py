"""Where no path is left there is silence, never an error; after the repair not a byte is missing."""

import hashlib
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from itertools import count, islice

import pytest

from agent.simulator.routers import MOST_SESSIONS
from tests.agent.simulator.running import (
    AGENT_CORE,
    AGENT_NORTH,
    PATIENCE,
    SILENCE,
    Client,
    connect,
    free_port,
    taking_all_seats,
)
from tests.supervisor.waiting import attempts, eventually

#: After this much silence what was on its way has arrived.
LONGER_SILENCE = 1.0
#: Echoes of either kind that tell a share.
ENOUGH = 20


class TestRouters:
    def test_a_new_connection_is_accepted_and_never_answered(self, sim):
        sim.cut("cr2-agg1")
        with sim.connected("bng1") as client:
            client.send("/login")
            assert client.is_silent()
            sim.heal()
            assert client.receive()[0] == "!done"

    def test_a_session_falls_silent_and_continues(self, sim):
        with sim.logged_in("agg1") as client:
            sim.cut("cr2-agg1")
            client.send("/system/identity/print")
            assert client.is_silent()
            sim.heal()
            assert client.receive() == ["!re", "=name=agg1"]
            assert client.receive() == ["!done"]

    def test_the_end_of_a_session_is_not_heard_on_a_lost_path(self, sim):
        with sim.logged_in("agg1") as client:
            sim.cut("cr2-agg1")
            client.send("/quit")
            assert client.is_silent()
            sim.heal()
            assert client.receive()[0] == "!fatal"
            assert client.receive() is None

    def test_the_same_router_answers_who_stands_on_its_side(self, sim):
        sim.cut("cr2-agg1")
        with sim.logged_in("bng1", AGENT_NORTH) as client:
            assert client.rows("/system/identity/print") == [{"name": "bng1"}]
        with sim.connected("cr1", AGENT_NORTH) as client:
            client.send("/login")
            assert client.is_silent()

    def test_who_gives_up_takes_no_seat(self, sim):
        sim.cut("cr2-agg1")
        for _ in range(MOST_SESSIONS + 5):
            with sim.connected("acc1"):
                pass
        sim.heal()
        with sim.logged_in("acc1") as client:
            assert client.rows("/system/identity/print")

    def test_a_session_given_up_in_silence_leaves_its_seat(self, sim):
        for _ in range(2):
            with taking_all_seats(sim, "bng2"):
                sim.cut("cr4-agg2")
            sim.heal()

    def test_a_reset_in_silence_is_noticed_too(self, sim):
        sim.cut("cr2-agg1")
        for _ in range(MOST_SESSIONS + 5):
            with sim.connected("acc1") as client:
                client.send("/login")
                reset(client.socket)
        sim.heal()
        with sim.logged_in("acc1") as client:
            assert client.rows("/system/identity/print")

    def test_a_cut_in_the_ring_is_only_a_detour(self, sim):
        with sim.logged_in("cr2") as client:
            sim.cut("cr1-cr2")
            rows = client.rows("/routing/ospf/neighbor/print", "=.proplist=router-id")
            assert {row["router-id"] for row in rows} == {"10.255.0.3", "10.255.0.7", "10.255.0.13"}


class TestEcho:
    @pytest.fixture
    def probe(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((AGENT_CORE, 0))
            probe.settimeout(PATIENCE)
            yield probe

    def test_returns_what_it_gets(self, sim, probe):
        for payload in (b"hello", b"\0", b"x" * 1400):
            probe.sendto(payload, sim.echo_address("bng1"))
            assert probe.recvfrom(2000) == (payload, sim.echo_address("bng1"))

    def test_drops_on_a_lost_path(self, sim, probe):
        failure = sim.cut("cr2-agg1")
        probe.settimeout(SILENCE)
        probe.sendto(b"lost", sim.echo_address("bng1"))
        with pytest.raises(TimeoutError):
            probe.recv(2000)
        sim.ask("DELETE", f"/failures/{failure}")
        probe.settimeout(PATIENCE)
        probe.sendto(b"found", sim.echo_address("bng1"))
        assert probe.recv(2000) == b"found"

    def test_takes_as_long_as_the_path(self, sim, probe):
        started = time.monotonic()
        probe.sendto(b"ping", sim.echo_address("bng2"))
        probe.recv(2000)
        assert time.monotonic() - started >= 2 * 0.00005 * 3


class TestRelay:
    def test_carries_both_ways(self, sim):
        with connect(sim.relay, AGENT_NORTH) as line:
            line.sendall(b"telemetry")
            assert line.recv(100) == b"telemetry"
            line.shutdown(socket.SHUT_WR)
            assert line.recv(100) == b""

    def test_hangs_where_there_is_no_path(self, sim):
        sim.cut("cr2-agg1")
        with connect(sim.relay, AGENT_NORTH) as line, connect(sim.relay, AGENT_CORE) as other:
            line.sendall(b"telemetry")
            assert Client(line).is_silent()
            other.sendall(b"core")
            assert other.recv(100) == b"core"
            sim.heal()
            assert line.recv(100) == b"telemetry"

    def test_freezes_and_thaws_without_losing_a_byte(self, sim):
        sent = (
            hashlib.blake2b(b"seed").digest() * 400_000
        )  # 26 MB: more than all buffers on the way
        with connect(sim.relay, AGENT_NORTH) as line:
            line.sendall(b"x")
            assert line.recv(1) == b"x"
            sender = threading.Thread(target=lambda: (line.sendall(sent), half_close(line)))
            sender.start()
            received = bytearray(line.recv(65536))
            sim.cut("cr2-agg1")
            received += drained(line)
            assert len(received) < len(sent)
            before = len(received)
            assert Client(line).is_silent()
            sim.heal()
            while data := line.recv(65536):
                received += data
            sender.join(PATIENCE)
        assert before < len(received)
        assert bytes(received) == sent

    def test_what_was_sent_before_hanging_up_arrives_after_the_repair(self, sim):
        with connect(sim.relay, AGENT_NORTH) as line:
            line.sendall(b"x")
            assert line.recv(1) == b"x"
            sim.cut("cr2-agg1")
            line.sendall(b"last words")
            half_close(line)
            assert Client(line).is_silent()
            sim.heal()
            assert line.recv(100) == b"last words"
            assert line.recv(100) == b""

    def test_a_reset_ends_one_connection_only(self, sim):
        with connect(sim.relay, AGENT_NORTH) as line:
            line.sendall(b"x")
            assert line.recv(1) == b"x"
            reset(line)
        with connect(sim.relay, AGENT_NORTH) as line:
            line.sendall(b"y")
            assert line.recv(1) == b"y"

    def test_without_a_server_the_agent_is_hung_up_on(self, sim, monkeypatch):
        relay = sim._running.relay
        monkeypatch.setattr(relay, "_target", ("127.0.0.1", free_port("127.0.0.1")))
        with connect(sim.relay, AGENT_CORE) as line:
            assert line.recv(100) == b""


def reset(line: socket.socket) -> None:
    """Closes as a crashing client does."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def half_close(line: socket.socket) -> None:
    line.shutdown(socket.SHUT_WR)


def drained(line: socket.socket) -> bytes:
    """What still comes until the line is silent."""
    received = bytearray()
    line.settimeout(LONGER_SILENCE)
    try:
        while data := line.recv(65536):
            received += data
    except TimeoutError:
        pass
    finally:
        line.settimeout(PATIENCE)
    return bytes(received)


class TestOtherFailures:
    @pytest.fixture
    def probe(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((AGENT_CORE, 0))
            probe.settimeout(PATIENCE)
            yield probe

    def test_a_silent_api_echoes(self, sim, probe):
        with sim.logged_in("agg1") as client:
            sim.break_("api_down", device="agg1")
            client.send("/system/identity/print")
            assert client.is_silent()
            probe.sendto(b"alive", sim.echo_address("agg1"))
            assert probe.recv(100) == b"alive"
            sim.heal()
            assert client.receive() == ["!re", "=name=agg1"]

    def test_a_dead_site_is_silent_and_its_agent_is_alone(self, sim, probe):
        with sim.logged_in("agg1", AGENT_NORTH) as client, connect(sim.relay, AGENT_NORTH) as line:
            line.sendall(b"x")
            assert line.recv(1) == b"x"
            sim.break_("power_loss", site="north")
            client.send("/system/identity/print")
            line.sendall(b"telemetry")
            assert client.is_silent()
            assert Client(line).is_silent()
            probe.sendto(b"alive", sim.echo_address("agg1"))
            probe.settimeout(SILENCE)
            with pytest.raises(TimeoutError):
                probe.recv(100)
            assert sim.ask("GET", "/truth")["devices"]["agg1"] is False
            sim.heal()
            assert line.recv(100) == b"telemetry"
            assert client.receive() is None  # the router knows nothing of this session any more
        with sim.logged_in("agg1", AGENT_NORTH) as client:
            (resource,) = client.rows("/system/resource/print")
            assert re.fullmatch(r"\d{1,2}s", resource["uptime"])

    def test_who_knocks_during_a_reboot_is_let_in_after_it(self, sim):
        sim.break_("reboot", device="acc2", seconds=0.3)
        with sim.logged_in("acc2") as client:
            assert client.rows("/system/identity/print") == [{"name": "acc2"}]
        assert sim.ask("GET", "/failures") == []
        assert any("over: reboot acc2" in line for line in sim.told)

    def test_sessions_from_before_a_reboot_take_no_seat(self, sim):
        with taking_all_seats(sim, "acc2"):
            sim.break_("reboot", device="acc2", seconds=0.1)
            with sim.logged_in("acc2") as client:
                assert client.rows("/system/identity/print") == [{"name": "acc2"}]

    def test_a_flapping_link_is_down_and_up_again_by_itself(self, sim):
        sim.break_("flap", link="cr2-agg1", period_s=0.4)
        seen = set()

        def look() -> bool:
            seen.add(sim.ask("GET", "/truth")["links"]["cr2-agg1"])
            return seen == {True, False}

        eventually(look)

    def test_a_slow_link_makes_echoes_late(self, sim, probe):
        sim.break_("latency", link="cr2-agg1", ms=20)
        started = time.monotonic()
        probe.sendto(b"ping", sim.echo_address("agg1"))
        probe.recv(100)
        assert time.monotonic() - started >= 0.04

    def test_a_lossy_link_loses_its_share(self, sim, probe):
        """Echoes keep their order: one that is passed by a later one is lost, however late the machine is."""
        sim.break_("loss", link="cr2-agg1", pct=50)
        probe.settimeout(SILENCE)
        numbers, returned = count(), []
        for _ in attempts("a loss of about a half"):
            for number in islice(numbers, 10):
                probe.sendto(number.to_bytes(2), sim.echo_address("agg1"))
            with suppress(TimeoutError):
                while True:
                    returned.append(int.from_bytes(probe.recv(100)))
            lost = max(returned, default=-1) + 1 - len(returned)
            if len(returned) >= ENOUGH and lost >= ENOUGH:
                break

        assert returned == sorted(returned)
        assert 0.25 < lost / (lost + len(returned)) < 0.75
