"""Polling a router that behaves: what comes out of it."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import WatchedDevice
from agent.collectors.routeros import transport
from agent.protocol.ids import bgp_peer_id, interface_id, ospf_neighbor_id, pppoe_service_id
from agent.protocol.registry import METRICS, Tier
from tests.agent.fake_router import DEVICE_ID, MENUS, PASSWORD, FakeRouter, device_config, rows

KEY = X25519PrivateKey.generate()
FAST = [Tier.FAST]


@pytest.fixture
def router():
    made = FakeRouter(dict(MENUS))
    yield made
    made.close()


@pytest.fixture
def device(router):
    made = WatchedDevice(device_config(KEY, router.port), KEY, "127.0.0.7")
    yield made
    made.close()


def values(findings) -> dict:
    return {(sample.metric, sample.entity_id): sample.value for sample in findings.samples}


def test_says_everything_that_the_router_said(device):
    findings = device.poll(FAST)
    said = values(findings)

    ether1, ether2 = (str(interface_id(device.id, name)) for name in ("ether1", "ether2"))
    neighbor = str(ospf_neighbor_id(device.id, "10.1.0.165", "backbone", "10.0.0.74"))
    transit = str(bgp_peer_id(device.id, "transit", "192.0.2.1", "64500"))
    never = str(bgp_peer_id(device.id, "never", "192.0.2.2", "64501"))
    service = str(pppoe_service_id(device.id, "home"))
    assert said["device.api.up", DEVICE_ID] == 1
    assert said["device.uptime_seconds", DEVICE_ID] == 788_400
    assert said["device.mem_used_bytes", DEVICE_ID] == 400
    assert said["interface.oper_up", ether1] == 1
    assert said["interface.oper_up", ether2] == 0
    assert said["interface.admin_up", ether2] == 0
    assert said["interface.rx_bytes_total", ether1] == 7
    assert said["ospf.neighbor.up", neighbor] == 1
    assert said["ospf.neighbor.state", neighbor] == "Full"
    assert said["ospf.neighbor.uptime_seconds", neighbor] == 6595
    assert said["bgp.peer.prefixes_in", transit] == 900
    assert (said["bgp.peer.up", never], said["bgp.peer.state", never]) == (0, "down")
    assert said["pppoe.sessions.active", service] == 2
    assert ("interface.tx_bytes_total", ether1) not in said, "missing is missing"
    assert ("device.disk_used_bytes", DEVICE_ID) not in said
    assert all(METRICS[metric] for metric, _ in said)


def test_tells_the_inventory_once_and_then_what_changed(device, router):
    first = device.poll(FAST).patch
    again = device.poll(list(Tier)).patch
    changed = {"name": "ether2", "type": "ether", "running": "true", "disabled": "false"}
    router.menus["/interface/print"] = rows(changed)
    after = device.poll(FAST).patch

    assert {section: len(items) for section, items in first.items()} == {
        "devices": 1,
        "interfaces": 2,
        "ospf_neighbors": 1,
        "bgp_peers": 2,
        "services": 1,
    }
    assert again == {}
    assert [(item["name"], item["disabled"]) for item in after["interfaces"]] == [("ether2", False)]


def test_keeps_one_session_and_remembers_missing_menus(device, router):
    router.menus.pop("/routing/ospf/neighbor/print")
    for _ in range(3):
        device.poll(FAST)

    asked = [sentence[0] for sentence in router.asked]
    assert router.logins == 1
    assert asked.count("/routing/ospf/neighbor/print") == 1
    assert router.peers == ["127.0.0.7"]


def test_the_subscribers_interfaces_are_not_asked_for(device, router):
    device.poll(FAST)
    sentence = next(one for one in router.asked if one[0] == "/interface/print")

    assert sentence.index("?dynamic=true") + 1 == sentence.index("?#!")


def test_what_should_be_listed_and_is_not_is_down(router):
    gone = {"id": str(ospf_neighbor_id(UUID(DEVICE_ID), "r", "a", "x"))}
    lost = {"id": "11111111-2222-3333-4444-555555555555"}
    config = device_config(KEY, router.port, ospf_neighbors=[gone], bgp_peers=[lost])
    device = WatchedDevice(config, KEY, "")
    said = values(device.poll(FAST))
    device.close()

    assert said["ospf.neighbor.up", gone["id"]] == 0
    assert said["ospf.neighbor.state", gone["id"]] == "down"
    assert said["bgp.peer.up", lost["id"]] == 0

    router.menus.pop("/routing/ospf/neighbor/print")
    router.menus.pop("/routing/bgp/session/print")
    said = values(device.poll(FAST))
    device.close()
    assert ("ospf.neighbor.up", gone["id"]) not in said, "a list that was not read says nothing"
    assert ("bgp.peer.up", lost["id"]) not in said


def test_a_refused_login_opens_the_circuit_at_once_and_a_new_password_closes_it(router):
    device = WatchedDevice(device_config(KEY, router.port, password="wrong"), KEY, "")
    refused = device.poll(FAST)
    again = device.poll(FAST)
    device.take_over(device_config(KEY, router.port))
    well = device.poll(FAST)
    device.close()

    assert values(refused) == {("device.api.up", DEVICE_ID): 0}
    assert [event.payload["state"] for event in refused.events] == ["open"]
    assert again.events == ()
    assert [event.payload["state"] for event in well.events] == ["closed"]
    assert PASSWORD not in str(refused)


def test_a_config_that_only_seals_anew_keeps_the_session(device, router):
    device.poll(FAST)
    device.take_over(device_config(KEY, router.port))
    device.poll(FAST)

    assert router.logins == 1


def test_without_a_password_for_us_nothing_is_sent(router):
    device = WatchedDevice(device_config(KEY, router.port), X25519PrivateKey.generate(), "")
    findings = device.poll(FAST)

    assert values(findings) == {("device.api.up", DEVICE_ID): 0}
    assert [event.event_type for event in findings.events] == ["monitoring.degraded"]
    assert router.peers == []


def test_one_write_for_each_sentence(device, router, monkeypatch):
    sent = []
    plain = transport.RouterSocket.send
    monkeypatch.setattr(
        transport.RouterSocket, "send", lambda self, data: (sent.append(data), plain(self, data))[1]
    )
    device.poll(FAST)

    assert len(sent) == len(router.asked)
