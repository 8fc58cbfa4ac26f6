"""Polling a router with valid replies: samples and inventory."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import MonitoredDevice
from agent.collectors.routeros import transport
from agent.protocol.ids import bgp_peer_id, interface_id, ospf_neighbor_id, pppoe_service_id
from agent.protocol.registry import METRICS, Tier
from tests.agent.fake_router import DEVICE_ID, MENUS, PASSWORD, FakeRouter, device_config, rows

KEY = X25519PrivateKey.generate()
FAST = [Tier.FAST]


@pytest.fixture
def router():
    instance = FakeRouter(dict(MENUS))
    yield instance
    instance.close()


@pytest.fixture
def device(router):
    instance = MonitoredDevice(device_config(KEY, router.port), KEY, "127.0.0.7")
    yield instance
    instance.close()


def values(result) -> dict:
    return {(sample.metric, sample.entity_id): sample.value for sample in result.samples}


def test_a_poll_returns_all_metrics_of_the_router(device):
    result = device.poll(FAST)
    samples = values(result)

    ether1, ether2 = (str(interface_id(device.id, name)) for name in ("ether1", "ether2"))
    neighbor = str(ospf_neighbor_id(device.id, "10.1.0.165", "backbone", "10.0.0.74"))
    transit = str(bgp_peer_id(device.id, "transit", "192.0.2.1", "64500"))
    never = str(bgp_peer_id(device.id, "never", "192.0.2.2", "64501"))
    service = str(pppoe_service_id(device.id, "home"))
    assert samples["device.api.up", DEVICE_ID] == 1
    assert samples["device.uptime_seconds", DEVICE_ID] == 788_400
    assert samples["device.mem_used_bytes", DEVICE_ID] == 400
    assert samples["interface.oper_up", ether1] == 1
    assert samples["interface.oper_up", ether2] == 0
    assert samples["interface.admin_up", ether2] == 0
    assert samples["interface.rx_bytes_total", ether1] == 7
    assert samples["ospf.neighbor.up", neighbor] == 1
    assert samples["ospf.neighbor.state", neighbor] == "Full"
    assert samples["ospf.neighbor.uptime_seconds", neighbor] == 6595
    assert samples["bgp.peer.prefixes_in", transit] == 900
    assert (samples["bgp.peer.up", never], samples["bgp.peer.state", never]) == (0, "down")
    assert samples["pppoe.sessions.active", service] == 2
    assert ("interface.tx_bytes_total", ether1) not in samples, "a missing value has no sample"
    assert ("device.disk_used_bytes", DEVICE_ID) not in samples
    assert all(METRICS[metric] for metric, _ in samples)


def test_the_inventory_is_sent_once_and_then_only_changes(device, router):
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


def test_one_session_is_reused_and_missing_menus_are_cached(device, router):
    router.menus.pop("/routing/ospf/neighbor/print")
    for _ in range(3):
        device.poll(FAST)

    paths = [sentence[0] for sentence in router.commands]
    assert router.logins == 1
    assert paths.count("/routing/ospf/neighbor/print") == 1
    assert router.peers == ["127.0.0.7"]


def test_interfaces_of_subscribers_are_not_requested(device, router):
    device.poll(FAST)
    sentence = next(command for command in router.commands if command[0] == "/interface/print")

    assert sentence.index("?dynamic=true") + 1 == sentence.index("?#!")


def test_an_expected_entity_that_is_not_listed_is_down(router):
    neighbor = {"id": str(ospf_neighbor_id(UUID(DEVICE_ID), "r", "a", "x"))}
    peer = {"id": "11111111-2222-3333-4444-555555555555"}
    config = device_config(KEY, router.port, ospf_neighbors=[neighbor], bgp_peers=[peer])
    device = MonitoredDevice(config, KEY, "")
    samples = values(device.poll(FAST))
    device.close()

    assert samples["ospf.neighbor.up", neighbor["id"]] == 0
    assert samples["ospf.neighbor.state", neighbor["id"]] == "down"
    assert samples["bgp.peer.up", peer["id"]] == 0

    router.menus.pop("/routing/ospf/neighbor/print")
    router.menus.pop("/routing/bgp/session/print")
    samples = values(device.poll(FAST))
    device.close()
    assert ("ospf.neighbor.up", neighbor["id"]) not in samples, (
        "a list that was not read has no samples"
    )
    assert ("bgp.peer.up", peer["id"]) not in samples


def test_a_refused_login_opens_the_circuit_at_once_and_a_new_password_closes_it(router):
    device = MonitoredDevice(device_config(KEY, router.port, password="wrong"), KEY, "")
    refused = device.poll(FAST)
    again = device.poll(FAST)
    device.update_config(device_config(KEY, router.port))
    success = device.poll(FAST)
    device.close()

    assert values(refused) == {("device.api.up", DEVICE_ID): 0}
    assert [event.payload["state"] for event in refused.events] == ["open"]
    assert again.events == ()
    assert [event.payload["state"] for event in success.events] == ["closed"]
    assert PASSWORD not in str(refused)


def test_a_config_with_the_same_password_encrypted_anew_keeps_the_session(device, router):
    device.poll(FAST)
    device.update_config(device_config(KEY, router.port))
    device.poll(FAST)

    assert router.logins == 1


def test_without_a_password_that_it_can_decrypt_nothing_is_sent(router):
    device = MonitoredDevice(device_config(KEY, router.port), X25519PrivateKey.generate(), "")
    result = device.poll(FAST)

    assert values(result) == {("device.api.up", DEVICE_ID): 0}
    assert [event.event_type for event in result.events] == ["monitoring.degraded"]
    assert router.peers == []


def test_one_write_for_each_sentence(device, router, monkeypatch):
    sent = []
    plain = transport.RouterSocket.send
    monkeypatch.setattr(
        transport.RouterSocket, "send", lambda self, data: (sent.append(data), plain(self, data))[1]
    )
    device.poll(FAST)

    assert len(sent) == len(router.commands)
