"""The control API: topology, true state, failures, and strict HTTP."""

import json
import socket

import pytest

from agent.simulator import http as simulator_http
from agent.simulator import simulation as simulation_module
from tests.agent.simulator.harness import TIMEOUT_SECONDS


def raw(sim, request: bytes) -> tuple[int, dict | None]:
    """Send raw bytes; returns status and JSON of the response."""
    with socket.create_connection(sim.control, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        response = b""
        while data := connection.recv(65536):
            response += data
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else None


def post(sim, body: bytes, *, headers: str = "") -> tuple[int, dict | None]:
    head = f"POST /failures HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return raw(sim, head.encode() + body)


class TestTopology:
    def test_lists_the_devices_to_poll(self, sim):
        topology = sim.request("GET", "/topology")
        assert topology["seed"] == 1
        assert topology["api_port"] == sim.options.api_port
        assert topology["echo_port"] == sim.options.echo_port
        devices = {device["name"]: device for device in topology["devices"]}
        assert len(devices) == 13
        assert devices["cr1"] == {
            "name": "cr1",
            "role": "core",
            "site": "hub",
            "address": "127.20.0.1",
            "router_id": "10.255.0.1",
            "os": "7.19.4",
        }
        assert {name for name, row in devices.items() if row["os"] == "6.49.17"} == {
            *("acc1", "acc2")
        }
        polled = [name for agent in topology["agents"] for name in agent["polls"]]
        assert sorted(polled) == sorted(devices)
        assert {site["key"] for site in topology["sites"]} == {*("hub", "north", "south", "east")}
        assert topology["server"]["device"] in devices

    def test_has_an_access_router_with_two_uplinks(self, sim):
        topology = sim.request("GET", "/topology")
        device = next(row for row in topology["devices"] if row["name"] == "acc3")
        assert (device["address"], device["site"]) == ("127.20.0.13", "east")
        uplinks = {row["id"]: row["kind"] for row in topology["links"] if "acc3" in row["id"]}
        assert uplinks == {"cr2-acc3": "access", "cr4-acc3": "access"}
        adjacent = [row for row in topology["ospf_neighbors"] if row["device"] == "acc3"]
        assert {row["router_id"] for row in adjacent} == {"10.255.0.2", "10.255.0.4"}
        assert "acc3" in {row["device"] for row in topology["services"]}

    def test_matches_the_replies_of_the_routers(self, sim):
        topology = sim.request("GET", "/topology")
        for device in ("cr2", "er1", "bng1", "acc3"):
            with sim.logged_in(device) as client:
                interfaces = {row["name"] for row in client.rows("/interface/print")}
                addresses = {row["address"] for row in client.rows("/ip/address/print")}
                neighbors = {
                    (row["router-id"], row["area"], row["address"])
                    for row in client.rows("/routing/ospf/neighbor/print")
                }
                peers = {
                    (row["name"], row["remote.address"], row["remote.as"])
                    for row in client.rows("/routing/bgp/connection/print")
                }
            ends = [end for link in topology["links"] for end in (link["a"], link["z"]) if end]
            own = [end for end in ends if end["device"] == device]
            assert {end["interface"] for end in own} <= interfaces
            assert {f"{end['address']}/30" for end in own} <= addresses
            assert neighbors == {
                (n["router_id"], n["area"], n["address"])
                for n in topology["ospf_neighbors"]
                if n["device"] == device
            }
            assert peers == {
                (p["name"], f"{p['remote_address']}/32", str(p["remote_as"]))
                for p in topology["bgp_peers"]
                if p["device"] == device
            }

    def test_upstreams_have_no_far_end(self, sim):
        upstreams = [
            link for link in sim.request("GET", "/topology")["links"] if link["kind"] == "upstream"
        ]
        assert len(upstreams) == 2
        assert all(link["z"] is None and link["provider"] for link in upstreams)


class TestFailures:
    def test_are_injected_and_healed(self, sim):
        failure = sim.request("POST", "/failures", {"kind": "link_cut", "link": "cr2-agg1"})
        assert failure.keys() == {"id", "kind", "link", "at"}
        assert sim.request("GET", "/failures") == [failure]
        assert {"cr2-agg1"} == {
            link["id"] for link in sim.request("GET", "/links") if not link["up"]
        }
        truth = sim.request("GET", "/truth")
        assert truth["failures"] == [failure]
        assert truth["links"]["cr2-agg1"] is False
        assert truth["reachable"]["agent-core"]["bng1"] is False
        assert truth["reachable"]["agent-north"]["bng1"] is True
        assert truth["agent_reaches_server"] == {"agent-core": True, "agent-north": False}
        assert truth["ospf"]["agg1"]["cr2-agg1"] is False
        assert truth["bgp"]["er1"] == {"upstream-a": True, "ibgp-er2": True}
        assert truth["sessions"]["bng1"] > 0
        assert sim.request("DELETE", f"/failures/{failure['id']}") is None
        assert sim.request("GET", "/failures") == []
        assert all(sim.request("GET", "/truth")["links"].values())

    def test_have_unique_ids_and_a_limit(self, sim, monkeypatch):
        monkeypatch.setattr(simulation_module, "MAX_FAILURES", 2)
        assert sim.cut("cr1-cr2") != sim.cut("cr1-cr2")
        body = b'{"kind": "link_cut", "link": "cr1-cr2"}'
        assert post(sim, body)[0] == 409

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"", 400, "malformed"),
            (b"{", 400, "malformed"),
            (b"\xff\xfe", 400, "malformed"),
            (b"[]", 400, "malformed"),
            (b"[" * 60_000, 400, "malformed"),
            (b"{}", 422, "malformed"),
            (b'{"kind": "link_cut"}', 422, "malformed"),
            (b'{"kind": "link_cut", "link": 7}', 422, "malformed"),
            (b'{"kind": "flood", "link": "cr1-cr2"}', 422, "unknown_kind"),
            (b'{"kind": "link_cut", "link": "cr1-moon"}', 404, "unknown_link"),
        ],
    )
    def test_invalid_requests_are_refused(self, sim, body, status, code):
        actual_status, document = post(sim, body)
        assert (actual_status, document["code"]) == (status, code)
        assert document["detail"]
        assert sim.request("GET", "/failures") == []

    def test_an_unwritable_state_folder_is_reported(self, sim, monkeypatch):
        def refuse(*_):
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr(type(sim.simulation), "save", refuse)
            assert post(sim, b'{"kind": "link_cut", "link": "cr1-cr2"}')[0] == 507
            assert "broken: link cr1-cr2" in sim.messages[-1]
        assert sim.request("GET", "/links")[0]["up"] is False


class TestHttp:
    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
            (b"GET / HTTP/1.1\r\n\r\n", 404),
            (b"DELETE /failures/f999 HTTP/1.1\r\n\r\n", 404),
            (b"DELETE /topology HTTP/1.1\r\n\r\n", 405),
            (b"GET /failures/f1 HTTP/1.1\r\n\r\n", 405),
            (b"GET /links?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", 200),
            (b"GET /links/ HTTP/1.0\r\n\r\n", 200),
            (b"GET links HTTP/1.1\r\n\r\n", 400),
            (b"GET /links HTTP/2\r\n\r\n", 400),
            (b"\x16\x03\x01\x00\r\n\r\n", 400),
            (b"GET /links HTTP/1.1\r\nnonsense\r\n\r\n", 400),
            (b"GET /links HTTP/1.1\r\nOrigin: http://evil.example\r\n\r\n", 403),
            (b"POST /failures HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            (b"POST /failures HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
            (b"POST /failures HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
            (b"GET /links HTTP/1.1\r\nX: " + b"x" * 40_000, 431),
        ],
    )
    def test_is_strict(self, sim, request_, status):
        assert raw(sim, request_)[0] == status

    def test_slow_requests_time_out(self, sim, monkeypatch):
        monkeypatch.setattr(simulator_http, "REQUEST_SECONDS", 0.05)
        assert raw(sim, b"GET /links")[0] == 408

    def test_survives_clients_that_disconnect(self, sim):
        for _ in range(3):
            with socket.create_connection(sim.control) as connection:
                connection.sendall(b"GET /li")
        assert sim.request("GET", "/links")
