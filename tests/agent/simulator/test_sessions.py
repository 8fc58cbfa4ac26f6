"""Routers on sockets: login, replies, and protocol errors of clients."""

import socket
import time
from contextlib import closing

import librouteros
import pytest
import routeros_api
from librouteros.exceptions import MultiTrapError, TrapError

from agent.simulator.routeros import session
from agent.simulator.routeros.protocol import encode_length
from tests.agent.simulator.harness import AGENT_NORTH, UNKNOWN_SOURCE, all_sessions_in_use
from tests.supervisor.waiting import attempts

#: Nagle's algorithm waits for the other side's delayed acknowledgement, 40 ms at the least.
NAGLE_SECONDS = 0.03


class TestLogin:
    @pytest.mark.parametrize(
        "words", [("=name=monitor", "=password=guess"), ("=name=admin", "=password="), ("=name=x",)]
    )
    def test_a_wrong_password_is_trapped_and_may_be_tried_again(self, sim, words):
        with sim.connected("cr1") as client:
            refusal = [["!trap", "=message=invalid user name or password (6)"], ["!done"]]
            assert client.command("/login", *words) == refusal
            password = sim.simulation.isp.password
            assert client.command("/login", "=name=monitor", f"=password={password}") == [["!done"]]

    def test_the_old_challenge_is_sent_but_never_accepted(self, sim):
        with sim.connected("cr1") as client:
            ((done, challenge),) = client.command("/login")
            assert done == "!done"
            assert len(challenge.removeprefix("=ret=")) == 32
            reply = client.command("/login", "=name=monitor", "=response=00" + "0" * 32)
            assert reply[0][1] == "=message=invalid user name or password (6)"

    def test_a_command_before_it_ends_the_session(self, sim):
        with sim.connected("cr1") as client:
            client.send("/system/identity/print")
            assert client.receive() == ["!fatal", "not logged in"]
            assert client.receive() is None

    def test_a_slow_login_is_disconnected(self, sim, monkeypatch):
        monkeypatch.setattr(session, "LOGIN_SECONDS", 0.1)
        with sim.connected("cr1") as client:
            with pytest.raises(OSError):  # noqa: PT011  # reset or broken pipe, depending on the kernel
                for _ in attempts("the end of a slow login"):
                    client.socket.sendall(b"\x01")

    @pytest.mark.parametrize(
        "data",
        [b"\xff", b"\xf8", encode_length(5000), b"\x01x" * 33, b"\xf0\xff\xff\xff\xff"],
    )
    def test_malformed_data_ends_the_session(self, sim, data):
        with sim.connected("cr1") as client:
            client.socket.sendall(data)
            assert client.receive()[0] == "!fatal"
            assert client.receive() is None


class TestCommands:
    def test_every_sentence_of_a_reply_has_the_tag(self, sim):
        with sim.logged_in("cr1") as client:
            replies = client.command("/ip/service/print", "=.proplist=name", ".tag=a=b")
            assert replies == [
                ["!re", "=name=ssh", ".tag=a=b"],
                ["!re", "=name=api", ".tag=a=b"],
                ["!re", "=name=winbox", ".tag=a=b"],
                ["!done", ".tag=a=b"],
            ]

    def test_many_commands_may_be_sent_at_once(self, sim):
        with sim.logged_in("cr1") as client:
            for number in range(20):
                client.send("/system/identity/print", f".tag={number}")
            replies = [client.receive() for _ in range(40)]
            assert [reply[-1] for reply in replies[1::2]] == [f".tag={n}" for n in range(20)]

    def test_a_large_word_is_accepted_after_login(self, sim):
        with sim.logged_in("cr1") as client:
            padding = "x" * (1 << 20)
            assert client.command("/system/identity/print", padding)[-1] == ["!done"]
            client.send("/system/identity/print", padding + "x")
            assert client.receive() == ["!fatal", "the word is too long"]
            assert client.receive() is None

    def test_a_second_login_changes_nothing(self, sim):
        with sim.logged_in("cr1") as client:
            assert client.command("/login", "=name=x", "=password=y")[0][0] == "!trap"
            assert client.rows("/system/identity/print") == [{"name": "cr1"}]

    def test_streams_have_a_limit(self, sim):
        with sim.logged_in("cr1") as client:
            for number in range(session.MAX_STREAMS):
                client.send("/interface/ethernet/monitor", "=numbers=ether1", f".tag={number}")
                assert client.receive()[0] == "!re"
            client.send("/interface/ethernet/monitor", "=numbers=ether1", ".tag=more")
            while (sentence := client.receive())[0] == "!re":
                pass
            assert sentence[-2:] == ["=message=too many commands with this tag", ".tag=more"]

    def test_quit(self, sim):
        with sim.logged_in("cr1") as client:
            client.send("/quit")
            assert client.receive() == ["!fatal", "session terminated on request"]
            assert client.receive() is None

    def test_a_stream_continues_until_it_is_cancelled(self, sim, monkeypatch):
        monkeypatch.setattr(session, "STREAM_SECONDS", 0.01)
        with sim.logged_in("cr1") as client:
            client.send("/interface/ethernet/monitor", "=numbers=ether1", ".tag=m")
            first, second = client.receive(), client.receive()
            assert "=.section=0" in first
            assert "=.section=1" in second
            client.send("/interface/ethernet/monitor", "=numbers=ether1", ".tag=m")
            client.send("/cancel", "=tag=m", ".tag=c")
            tail = []
            while (sentence := client.receive()) != ["!done", ".tag=c"]:
                if sentence[0] != "!re":
                    tail.append(sentence)
            assert tail[-2:] == [
                ["!trap", "=category=2", "=message=interrupted", ".tag=m"],
                ["!done", ".tag=m"],
            ]
            assert client.rows("/system/identity/print") == [{"name": "cr1"}]

    def test_a_stream_of_nothing_ends_at_once(self, sim):
        with sim.logged_in("cr1") as client:
            reply = client.command("/interface/ethernet/monitor", "=numbers=ether99")
            assert reply == [["!trap", "=message=no such item"], ["!done"]]
            assert client.command("/cancel") == [["!done"]]

    def test_a_router_accepts_twenty_sessions(self, sim):
        with all_sessions_in_use(sim, "acc2"), sim.connected("acc2") as rejected:
            assert rejected.receive() is None
        with sim.logged_in("agg2") as other:
            assert other.rows("/system/identity/print")

    def test_unknown_sources_are_attached_to_the_core(self, sim):
        sim.cut("cr2-agg1")
        with sim.logged_in("cr1", UNKNOWN_SOURCE) as client:
            assert client.rows("/system/identity/print") == [{"name": "cr1"}]
        with sim.connected("agg1", UNKNOWN_SOURCE) as client:
            client.send("/login")
            assert client.is_silent()

    def test_replies_are_sent_without_delay(self, sim):
        with sim.logged_in("cr1") as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in attempts("a reply sooner than with Nagle's algorithm", pause=0):
                started = time.monotonic()
                client.command("/system/identity/print")
                if time.monotonic() - started < NAGLE_SECONDS:
                    break


class TestLibraries:
    def test_librouteros_reads_a_concentrator(self, sim):
        isp = sim.simulation.isp
        service = isp.service_at("bng1")
        host, port = sim.address("bng1")
        with closing(librouteros.connect(host, isp.username, isp.password, port=port)) as api:
            rows = list(api.path("ppp", "active"))
            assert len(rows) == service.population
            assert rows[0]["service"] == "pppoe"
            (count,) = api("/ppp/active/print", **{"count-only": ""})
            assert count["ret"] == service.population
            (resource,) = api.path("system", "resource")
            assert resource["version"] == "7.19.4 (stable)"
            assert resource["cpu-load"] in range(101)
            assert list(api.path("routing", "bgp", "session")) == []
            running = api.path("interface").select("name", "running")
            assert sum(row["running"] for row in running) == service.population + 3
            with pytest.raises(MultiTrapError, match="caps-man"):
                list(api.path("caps-man", "interface"))
            with pytest.raises(TrapError, match="not enough permissions"):
                api.path("ip", "address").remove("*1")

    def test_routeros_api_reads_an_edge_router(self, sim):
        isp = sim.simulation.isp
        host, port = sim.address("er1")
        pool = routeros_api.RouterOsApiPool(
            host, username=isp.username, password=isp.password, port=port, plaintext_login=True
        )
        try:
            api = pool.get_api()
            sessions = api.get_resource("/routing/bgp/session").get()
            assert [(s["name"], s["established"]) for s in sessions] == [
                ("upstream-a-1", "true"),
                ("ibgp-er2-1", "true"),
            ]
            assert "ebgp" in sessions[0]
            (neighbor,) = api.get_resource("/routing/ospf/neighbor").get()
            assert (neighbor["router-id"], neighbor["state"]) == ("10.255.0.1", "Full")
            assert "interface" not in neighbor
            assert api.get_resource("/ppp/active").get() == []
            ports = api.get_resource("/interface").get(type="ether", running="true")
            assert len(ports) == 2
        finally:
            pool.disconnect()

    def test_an_agent_in_the_north_reads_the_outage(self, sim):
        sim.cut("cr2-agg1")
        with sim.logged_in("agg1", AGENT_NORTH) as client:
            rows = client.rows("/interface/print", "?comment=to cr2")
            assert [row["running"] for row in rows] == ["false"]
            assert rows[0]["link-downs"] != "0"
            assert "last-link-down-time" in rows[0]
            assert len(client.rows("/routing/ospf/neighbor/print")) == 2
