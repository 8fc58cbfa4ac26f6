"""Without a path connections block and never fail; after the repair no byte is missing."""

import hashlib
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from itertools import count, islice

import pytest

from agent.simulator.routers import MAX_SESSIONS
from tests.agent.simulator.harness import (
    AGENT_CORE,
    AGENT_NORTH,
    SILENCE_SECONDS,
    TIMEOUT_SECONDS,
    Client,
    all_sessions_in_use,
    connect,
    free_port,
)
from tests.supervisor.waiting import attempts, eventually

#: After this time without data everything in transit has arrived.
LONG_SILENCE_SECONDS = 1.0
#: Echoes of either kind that suffice to estimate the ratio.
MIN_ECHOES = 20


class TestRouters:
    def test_a_new_connection_is_accepted_and_never_answered(self, sim):
        sim.cut("cr2-agg1")
        with sim.connected("bng1") as client:
            client.send("/login")
            assert client.is_silent()
            sim.heal()
            assert client.receive()[0] == "!done"

    def test_a_session_blocks_and_continues(self, sim):
        with sim.logged_in("agg1") as client:
            sim.cut("cr2-agg1")
            client.send("/system/identity/print")
            assert client.is_silent()
            sim.heal()
            assert client.receive() == ["!re", "=name=agg1"]
            assert client.receive() == ["!done"]

    def test_the_end_of_a_session_does_not_arrive_without_a_path(self, sim):
        with sim.logged_in("agg1") as client:
            sim.cut("cr2-agg1")
            client.send("/quit")
            assert client.is_silent()
            sim.heal()
            assert client.receive()[0] == "!fatal"
            assert client.receive() is None

    def test_the_router_replies_to_clients_on_its_side_of_the_cut(self, sim):
        sim.cut("cr2-agg1")
        with sim.logged_in("bng1", AGENT_NORTH) as client:
            assert client.rows("/system/identity/print") == [{"name": "bng1"}]
        with sim.connected("cr1", AGENT_NORTH) as client:
            client.send("/login")
            assert client.is_silent()

    def test_a_connection_without_a_path_counts_as_no_session(self, sim):
        sim.cut("cr2-agg1")
        for _ in range(MAX_SESSIONS + 5):
            with sim.connected("acc1"):
                pass
        sim.heal()
        with sim.logged_in("acc1") as client:
            assert client.rows("/system/identity/print")

    def test_a_session_closed_without_a_path_is_released(self, sim):
        for _ in range(2):
            with all_sessions_in_use(sim, "bng2"):
                sim.cut("cr4-agg2")
            sim.heal()

    def test_a_reset_without_a_path_is_noticed_too(self, sim):
        sim.cut("cr2-agg1")
        for _ in range(MAX_SESSIONS + 5):
            with sim.connected("acc1") as client:
                client.send("/login")
                reset(client.socket)
        sim.heal()
        with sim.logged_in("acc1") as client:
            assert client.rows("/system/identity/print")

    def test_a_cut_in_the_ring_changes_only_the_route(self, sim):
        with sim.logged_in("cr2") as client:
            sim.cut("cr1-cr2")
            rows = client.rows("/routing/ospf/neighbor/print", "=.proplist=router-id")
            assert {row["router-id"] for row in rows} == {"10.255.0.3", "10.255.0.7", "10.255.0.13"}


class TestEcho:
    @pytest.fixture
    def probe(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((AGENT_CORE, 0))
            probe.settimeout(TIMEOUT_SECONDS)
            yield probe

    def test_returns_datagrams(self, sim, probe):
        for payload in (b"hello", b"\0", b"x" * 1400):
            probe.sendto(payload, sim.echo_address("bng1"))
            assert probe.recvfrom(2000) == (payload, sim.echo_address("bng1"))

    def test_drops_on_a_lost_path(self, sim, probe):
        failure = sim.cut("cr2-agg1")
        probe.settimeout(SILENCE_SECONDS)
        probe.sendto(b"lost", sim.echo_address("bng1"))
        with pytest.raises(TimeoutError):
            probe.recv(2000)
        sim.request("DELETE", f"/failures/{failure}")
        probe.settimeout(TIMEOUT_SECONDS)
        probe.sendto(b"found", sim.echo_address("bng1"))
        assert probe.recv(2000) == b"found"

    def test_takes_as_long_as_the_path(self, sim, probe):
        started = time.monotonic()
        probe.sendto(b"ping", sim.echo_address("bng2"))
        probe.recv(2000)
        assert time.monotonic() - started >= 2 * 0.00005 * 3


class TestRelay:
    def test_carries_both_ways(self, sim):
        with connect(sim.relay, AGENT_NORTH) as connection:
            connection.sendall(b"telemetry")
            assert connection.recv(100) == b"telemetry"
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""

    def test_blocks_without_a_path(self, sim):
        sim.cut("cr2-agg1")
        with connect(sim.relay, AGENT_NORTH) as connection, connect(sim.relay, AGENT_CORE) as other:
            connection.sendall(b"telemetry")
            assert Client(connection).is_silent()
            other.sendall(b"core")
            assert other.recv(100) == b"core"
            sim.heal()
            assert connection.recv(100) == b"telemetry"

    def test_blocks_and_continues_without_losing_a_byte(self, sim):
        sent = (
            hashlib.blake2b(b"seed").digest() * 400_000
        )  # 26 MB: more than all buffers on the path
        with connect(sim.relay, AGENT_NORTH) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            sender = threading.Thread(
                target=lambda: (connection.sendall(sent), half_close(connection))
            )
            sender.start()
            received = bytearray(connection.recv(65536))
            sim.cut("cr2-agg1")
            received += read_until_blocked(connection)
            assert len(received) < len(sent)
            before = len(received)
            assert Client(connection).is_silent()
            sim.heal()
            while data := connection.recv(65536):
                received += data
            sender.join(TIMEOUT_SECONDS)
        assert before < len(received)
        assert bytes(received) == sent

    def test_data_sent_before_closing_arrives_after_the_repair(self, sim):
        with connect(sim.relay, AGENT_NORTH) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            sim.cut("cr2-agg1")
            connection.sendall(b"last data")
            half_close(connection)
            assert Client(connection).is_silent()
            sim.heal()
            assert connection.recv(100) == b"last data"
            assert connection.recv(100) == b""

    def test_a_reset_ends_one_connection_only(self, sim):
        with connect(sim.relay, AGENT_NORTH) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            reset(connection)
        with connect(sim.relay, AGENT_NORTH) as connection:
            connection.sendall(b"y")
            assert connection.recv(1) == b"y"

    def test_without_a_server_the_connection_is_closed(self, sim, monkeypatch):
        relay = sim._running.relay
        monkeypatch.setattr(relay, "_target", ("127.0.0.1", free_port("127.0.0.1")))
        with connect(sim.relay, AGENT_CORE) as connection:
            assert connection.recv(100) == b""


def reset(connection: socket.socket) -> None:
    """Close like a crashing client."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def read_until_blocked(connection: socket.socket) -> bytes:
    """Data that still arrives until nothing more does."""
    received = bytearray()
    connection.settimeout(LONG_SILENCE_SECONDS)
    try:
        while data := connection.recv(65536):
            received += data
    except TimeoutError:
        pass
    finally:
        connection.settimeout(TIMEOUT_SECONDS)
    return bytes(received)


class TestOtherFailures:
    @pytest.fixture
    def probe(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((AGENT_CORE, 0))
            probe.settimeout(TIMEOUT_SECONDS)
            yield probe

    def test_a_router_with_an_unresponsive_api_echoes(self, sim, probe):
        with sim.logged_in("agg1") as client:
            sim.inject("api_down", device="agg1")
            client.send("/system/identity/print")
            assert client.is_silent()
            probe.sendto(b"alive", sim.echo_address("agg1"))
            assert probe.recv(100) == b"alive"
            sim.heal()
            assert client.receive() == ["!re", "=name=agg1"]

    def test_a_site_without_power_is_unreachable_and_its_agent_disconnected(self, sim, probe):
        with (
            sim.logged_in("agg1", AGENT_NORTH) as client,
            connect(sim.relay, AGENT_NORTH) as connection,
        ):
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            sim.inject("power_loss", site="north")
            client.send("/system/identity/print")
            connection.sendall(b"telemetry")
            assert client.is_silent()
            assert Client(connection).is_silent()
            probe.sendto(b"alive", sim.echo_address("agg1"))
            probe.settimeout(SILENCE_SECONDS)
            with pytest.raises(TimeoutError):
                probe.recv(100)
            assert sim.request("GET", "/truth")["devices"]["agg1"] is False
            sim.heal()
            assert connection.recv(100) == b"telemetry"
            assert client.receive() is None  # the router no longer knows this session
        with sim.logged_in("agg1", AGENT_NORTH) as client:
            (resource,) = client.rows("/system/resource/print")
            assert re.fullmatch(r"\d{1,2}s", resource["uptime"])

    def test_a_connection_during_a_reboot_is_served_after_it(self, sim):
        sim.inject("reboot", device="acc2", seconds=0.3)
        with sim.logged_in("acc2") as client:
            assert client.rows("/system/identity/print") == [{"name": "acc2"}]
        assert sim.request("GET", "/failures") == []
        assert any("ended: reboot acc2" in connection for connection in sim.messages)

    def test_sessions_from_before_a_reboot_do_not_count(self, sim):
        with all_sessions_in_use(sim, "acc2"):
            sim.inject("reboot", device="acc2", seconds=0.1)
            with sim.logged_in("acc2") as client:
                assert client.rows("/system/identity/print") == [{"name": "acc2"}]

    def test_a_flapping_link_is_down_and_up_again_by_itself(self, sim):
        sim.inject("flap", link="cr2-agg1", period_s=0.4)
        states = set()

        def both_states_observed() -> bool:
            states.add(sim.request("GET", "/truth")["links"]["cr2-agg1"])
            return states == {True, False}

        eventually(both_states_observed)

    def test_a_slow_link_makes_echoes_late(self, sim, probe):
        sim.inject("latency", link="cr2-agg1", ms=20)
        started = time.monotonic()
        probe.sendto(b"ping", sim.echo_address("agg1"))
        probe.recv(100)
        assert time.monotonic() - started >= 0.04

    def test_a_lossy_link_drops_its_ratio(self, sim, probe):
        """Echoes stay in order: one that is overtaken by a later one is lost, however slow the machine is."""
        sim.inject("loss", link="cr2-agg1", pct=50)
        probe.settimeout(SILENCE_SECONDS)
        numbers, returned = count(), []
        for _ in attempts("a loss of about a half"):
            for number in islice(numbers, 10):
                probe.sendto(number.to_bytes(2), sim.echo_address("agg1"))
            with suppress(TimeoutError):
                while True:
                    returned.append(int.from_bytes(probe.recv(100)))
            lost = max(returned, default=-1) + 1 - len(returned)
            if len(returned) >= MIN_ECHOES and lost >= MIN_ECHOES:
                break

        assert returned == sorted(returned)
        assert 0.25 < lost / (lost + len(returned)) < 0.75
