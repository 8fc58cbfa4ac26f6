"""Answers of real routers that look odd and are in order (cases 31 to 33 of the faults)."""

from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import MonitoredDevice
from agent.protocol.ids import bgp_peer_id, pppoe_service_id
from agent.protocol.registry import Tier
from agent.samples import PollResult
from tests.agent.fake_router import DEVICE_ID, MENUS, FakeRouter, device_config, rows
from tests.supervisor.waiting import HANG_SECONDS

KEY = X25519PrivateKey.generate()


@pytest.fixture
def poll():
    """The result of one poll of a router with these menus beside the usual ones."""
    routers = []

    def run(menus: dict[str, list[dict[str, str]]]) -> PollResult:
        router = FakeRouter(MENUS | {path: rows(*answers) for path, answers in menus.items()})
        device = MonitoredDevice(
            device_config(KEY, router.port, command_timeout=HANG_SECONDS), KEY, ""
        )
        routers.append((router, device))
        return device.poll(list(Tier))

    yield run
    for router, device in routers:
        device.close()
        router.close()


def values(result: PollResult, metric: str) -> dict[str, Any]:
    return {row.entity_id: row.value for row in result.samples if row.metric == metric}


def service(name: str) -> str:
    return str(pppoe_service_id(UUID(DEVICE_ID), name))


def test_a_bgp_connection_without_a_remote_as_is_a_peer_that_is_down(poll):
    """Case 31: it never came up, so that the router does not know the AS either."""
    result = poll(
        {
            "/routing/bgp/connection/print": [
                {
                    ".id": "*1",
                    "name": "noas",
                    "as": "65000",
                    "remote.address": "192.0.2.9",
                    "disabled": "false",
                    "inactive": "false",
                }
            ],
            "/routing/bgp/session/print": [],
        }
    )

    peer = str(bgp_peer_id(UUID(DEVICE_ID), "noas", "192.0.2.9", "0"))
    assert values(result, "bgp.peer.up")[peer] == 0
    (item,) = [row for row in result.patch["bgp_peers"] if row["name"] == "noas"]
    assert (item["id"], item["remote_address"], item["remote_as"]) == (peer, "192.0.2.9", 0)


def test_every_sample_of_a_peer_has_its_entity(poll):
    """A sample without one would be refused, and the whole inventory be read again."""
    result = poll(
        {
            "/routing/bgp/connection/print": [{"name": "nowhere", "as": "65000"}],
            "/routing/bgp/session/print": [],
        }
    )

    known = {row["id"] for row in result.patch.get("bgp_peers", ())}
    assert values(result, "bgp.peer.up").keys() <= known


def test_a_pppoe_server_without_a_service_name_is_a_service(poll):
    """Case 32."""
    result = poll(
        {
            "/interface/pppoe-server/server/print": [
                {"service-name": "", "interface": "ether2", "disabled": "false"}
            ],
            "/ppp/active/print": [
                {"name": "u1", "service": "pppoe"},
                {"name": "u2", "service": "pppoe"},
                {"name": "v1", "service": "l2tp"},
            ],
        }
    )

    assert values(result, "pppoe.sessions.active") == {service("pppoe"): 2}
    assert [row["name"] for row in result.patch["services"]] == ["pppoe"]


def test_static_bindings_that_are_down_are_no_sessions(poll):
    """Case 33."""
    running = {"running": "true", "dynamic": "true"}
    down = {"running": "false", "disabled": "false"}
    result = poll(
        {
            "/interface/pppoe-server/server/print": [
                {"service-name": "olt1"},
                {"service-name": "olt2"},
            ],
            "/interface/pppoe-server/print": [
                {"name": "<pppoe-a>", "user": "a", "service": "olt1", **running},
                {"name": "pppoe-b", "user": "b", "service": "olt1", **down},
                {"name": "pppoe-c", "user": "c", "service": "olt1", **down},
                {"name": "<pppoe-d>", "user": "d", "service": "olt2", **running},
            ],
            "/ppp/active/print": [
                {"name": "a", "service": "pppoe"},
                {"name": "d", "service": "pppoe"},
            ],
        }
    )

    assert values(result, "pppoe.sessions.active") == {service("olt1"): 1, service("olt2"): 1}


def test_a_disabled_server_is_no_service(poll):
    result = poll(
        {
            "/interface/pppoe-server/server/print": [
                {"service-name": "home", "disabled": "false"},
                {"service-name": "spare", "disabled": "true"},
            ],
        }
    )

    assert values(result, "pppoe.sessions.active") == {service("home"): 2}
