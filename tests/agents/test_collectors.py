"""Devices of several collectors: which login an agent receives for which device, in config and connection test."""

import json
from types import MappingProxyType

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from rest_framework.test import APIClient

from agent.collectors import registry
from agent.collectors.facts import CollectorFacts
from agent.protocol.sealing import open_sealed
from apps.agents.models import Agent
from apps.agents.services import record_heartbeat
from apps.diagnostics import services as diagnostics
from apps.diagnostics.models import ConnectionTest
from apps.inventory import choices
from apps.inventory import services as inventory
from apps.inventory.device_entities import collectors_of_entities
from apps.inventory.models import Device
from apps.tenancy import acting_in
from apps.vault.kinds import KIND_SPECS
from apps.vault.models import CredentialSet
from apps.vault.services import create_credential_set
from tests.agents.factories import ACTOR, AT
from tests.agents.router_logins import PASSWORD, Network
from tests.clients import bearer, faulty_fields, signed_in
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db

GIZMO = CollectorFacts(
    name="gizmo",
    label="Gizmo switches",
    software="GizmoOS",
    source="snmp",
    source_label="Gizmo SNMP",
    port=161,
    transport="udp",
    credentials=(KIND_SPECS["snmp_v2c"], KIND_SPECS["snmp_v3"]),
    outcomes={"timeout": "Gizmo did not respond"},
)
DEVICES = "/api/v1/devices/"


@pytest.fixture(autouse=True)
def gizmo(monkeypatch) -> CollectorFacts:
    """A second collector beside RouterOS."""
    known = MappingProxyType({**registry.COLLECTORS, "gizmo": GIZMO})
    monkeypatch.setattr(registry, "COLLECTORS", known)
    monkeypatch.setattr(choices, "COLLECTORS", known)
    return GIZMO


@pytest.fixture
def removed(monkeypatch):
    """Later: this version no longer has the collector."""

    def remove() -> None:
        known = {name: facts for name, facts in registry.COLLECTORS.items() if name != "gizmo"}
        monkeypatch.setattr(registry, "COLLECTORS", known)
        monkeypatch.setattr(choices, "COLLECTORS", known)

    return remove


@pytest.fixture
def admin(acme, acme_admin) -> APIClient:
    return bearer(acme, acme_admin)


def snmp_v3() -> CredentialSet:
    return create_credential_set(
        name="switches",
        kind="snmp_v3",
        username="mon",
        options={"auth_protocol": "sha256", "priv_protocol": "aes"},
        secrets={"auth_password": "canary-auth", "priv_password": "canary-priv"},
        actor=ACTOR,
        at=AT,
    )


@pytest.fixture
def fleet(network: Network) -> tuple[Network, Device]:
    """The network with a RouterOS device and a Gizmo switch, both of the same agent."""
    return network, make_device("sw1", collector="gizmo", credential_set=snmp_v3())


def report(agent: Agent, *capabilities: str) -> None:
    record_heartbeat(agent_id=agent.id, capabilities=capabilities, at=AT)


class TestConfig:
    def test_each_device_names_its_collector(self, fleet):
        network, switch = fleet

        assert network.config_of()["collector"] == "routeros"
        assert network.config_of(device=switch)["collector"] == "gizmo"

    def test_an_agent_without_the_collector_receives_no_login(self, fleet):
        network, switch = fleet
        for capabilities in ((), ("routeros_api", "probe.tcp")):
            report(network.agent, *capabilities)
            entry = network.config_of(device=switch)

            assert (entry["credential"], entry["credentials"]) == (None, [])
            assert entry["login_held"] is False, "there is nothing to approve"
            assert network.passwords() == [PASSWORD], "RouterOS: every agent has it"

    def test_an_agent_with_the_collector_receives_all_secrets_and_options(self, fleet):
        network, switch = fleet
        report(network.agent, "routeros_api", "snmp")
        (login,) = network.config_of(device=switch)["credentials"]

        def opened(name: str) -> str:
            return open_sealed(network.key, login[name], str(switch.id)).decode()

        assert (login["kind"], login["username"]) == ("snmp_v3", "mon")
        assert login["options"] == {"auth_protocol": "sha256", "priv_protocol": "aes"}
        assert opened("sealed_password") == "canary-auth"
        assert json.loads(opened("sealed_secrets")) == {
            "auth_password": "canary-auth",
            "priv_password": "canary-priv",
        }
        assert "canary" not in json.dumps(login)

    def test_a_kind_of_another_collector_is_never_sent(self, fleet):
        network, switch = fleet
        report(network.agent, "routeros_api", "snmp")
        inventory.set_device_credentials(
            device=switch, credential_sets=[network.login, snmp_v2c()], actor=ACTOR, at=AT
        )
        kinds = [login["kind"] for login in network.config_of(device=switch)["credentials"]]

        assert kinds == ["snmp_v2c"]
        assert Device.objects.get(pk=switch.pk).credential_set.kind == "snmp_v2c"

    def test_a_collector_that_this_server_no_longer_has(self, fleet, removed):
        network, switch = fleet
        report(network.agent, "routeros_api", "snmp")
        removed()
        entry = network.config_of(device=switch)

        assert (entry["collector"], entry["credentials"]) == ("gizmo", [])
        assert network.passwords() == [PASSWORD]


def snmp_v2c() -> CredentialSet:
    return create_credential_set(
        name="community",
        kind="snmp_v2c",
        secrets={"community": "canary-c"},
        actor=ACTOR,
        at=AT,
    )


class TestConnectionTests:
    def claimed(self, network: Network, device: Device, **chosen) -> dict:
        diagnostics.request_test(device=device, actor=ACTOR, at=AT, **chosen)
        job = diagnostics.claim_test(agent_id=network.agent.id, at=AT)
        assert job is not None
        return job["device"]

    def test_an_agent_with_the_collector_receives_the_login(self, fleet):
        network, switch = fleet
        report(network.agent, "snmp")
        entry = self.claimed(network, switch)

        assert entry["collector"] == "gizmo"
        assert [login["kind"] for login in entry["credentials"]] == ["snmp_v3"]
        assert {"sealed_secrets", "options"} <= entry["credentials"][0].keys()

    def test_an_agent_without_it_receives_none_even_when_one_was_chosen(self, fleet):
        network, switch = fleet
        report(network.agent, "routeros_api")

        entry = self.claimed(network, switch, credential_set=switch.credential_set)

        assert entry["credentials"] == []

    def test_a_login_of_another_collector_is_refused(self, fleet):
        network, switch = fleet
        report(network.agent, "snmp")
        for device, login in (
            (switch, network.login),
            (network.device, switch.credential_set),
        ):
            with pytest.raises(ValidationError, match="Not a login of"):
                diagnostics.request_test(device=device, credential_set=login, actor=ACTOR, at=AT)

    @pytest.mark.parametrize(
        ("outcome", "text"),
        [
            ("unsupported", "The agent has no collector for this device"),
            ("timeout", "Gizmo did not respond"),
            ("refused", "Connection refused: the service is disabled"),
        ],
    )
    def test_the_page_names_the_vendors_reason(self, acme, acme_admin, fleet, outcome, text):
        network, switch = fleet
        report(network.agent, "routeros_api")
        self.claimed(network, switch)
        diagnostics.record_result(
            test_id=ConnectionTest.objects.get().id,
            agent_id=network.agent.id,
            result={"outcome": outcome},
            at=AT,
        )
        page = signed_in(Client(), acme_admin).get(f"/devices/{switch.id}/connection-test/")

        assert text in page.content.decode()


class TestRest:
    def test_routeros_is_the_default(self, acme, admin, network):
        with acting_in(acme):
            site = str(network.device.site_id)
        body = {"name": "r9", "site": site, "management_address": "127.20.0.9"}
        row = admin.post(DEVICES, body).json()

        assert (row["collector"], row["api_port"]) == ("routeros", 8728)
        assert admin.post(DEVICES, {**body, "name": "r10", "api_tls": True}).json()["api_port"] == (
            8729
        )

    def test_a_device_of_another_collector_has_its_port(self, admin, network):
        body = {"name": "s9", "site": str(network.device.site_id), "collector": "gizmo"}
        body |= {"management_address": "127.20.0.9"}
        row = admin.post(DEVICES, body).json()

        assert (row["collector"], row["api_port"]) == ("gizmo", 161)
        found = admin.get(f"{DEVICES}?collector=gizmo").json()["results"]
        assert [device["name"] for device in found] == ["s9"]

    def test_an_unknown_collector_is_refused(self, admin, network):
        answer = admin.patch(f"{DEVICES}{network.device.id}/", {"collector": "quokka_os"})

        assert faulty_fields(answer) == {"collector"}

    def test_the_login_must_be_one_of_the_collector(self, admin, fleet):
        network, switch = fleet
        for device, changes in (
            (network.device, {"collector": "gizmo"}),
            (switch, {"credential_set": str(network.login.id)}),
        ):
            answer = admin.patch(f"{DEVICES}{device.id}/", changes)
            assert faulty_fields(answer) == {"credential_set"}, answer.content

        both = {"collector": "routeros", "credential_set": str(network.login.id)}
        assert admin.patch(f"{DEVICES}{switch.id}/", both).json()["collector"] == "routeros"

    def test_a_collector_that_this_server_no_longer_has_is_shown(self, admin, fleet, removed):
        _, switch = fleet
        removed()

        assert admin.get(f"{DEVICES}{switch.id}/").json()["collector"] == "gizmo"


class TestPages:
    def test_the_device_page_names_the_collector(self, acme_admin, fleet):
        network, switch = fleet
        client = signed_in(Client(), acme_admin)
        Device.objects.filter(pk=network.device.pk).update(version="7.19.4")

        assert "RouterOS 7.19.4" in client.get(f"/devices/{network.device.id}/").content.decode()
        assert "Gizmo switches" in client.get(f"/devices/{switch.id}/").content.decode()
        Device.objects.filter(pk=switch.pk).update(version="3.1")
        assert "GizmoOS 3.1" in client.get(f"/devices/{switch.id}/").content.decode()

    def test_an_agent_without_the_collector_is_named(self, acme, acme_admin, fleet):
        network, switch = fleet
        client, text = signed_in(Client(), acme_admin), "pop-1 has no collector for Gizmo switches."
        report(network.agent, "routeros_api")

        assert text in client.get(f"/devices/{switch.id}/login/").content.decode()
        assert (
            "no collector"
            not in client.get(f"/devices/{network.device.id}/login/").content.decode()
        )
        with acting_in(acme):
            report(network.agent, "snmp")
        assert "no collector" not in client.get(f"/devices/{switch.id}/login/").content.decode()

    def test_a_device_of_a_removed_collector_has_a_page(self, acme_admin, fleet, removed):
        _, switch = fleet
        removed()
        client = signed_in(Client(), acme_admin)

        for path in ("", "login/", "connection-test/"):
            answer = client.get(f"/devices/{switch.id}/{path}")
            assert answer.status_code == 200
        assert "gizmo" in client.get(f"/devices/{switch.id}/").content.decode()

    def test_the_admin_offers_the_collectors_and_fills_in_the_port(self, acme, acme_admin, network):
        client = signed_in(Client(), acme_admin)
        form = {"name": "s7", "site": str(network.device.site_id), "role": "access"}
        form |= {"collector": "gizmo", "management_address": "127.20.0.7", "api_port": ""}
        form |= {"polling_profile": "{}", "tags": "[]", "credential_set": ""}

        assert "Gizmo switches" in client.get("/admin/inventory/device/add/").content.decode()
        answer = client.post("/admin/inventory/device/add/", form)
        with acting_in(acme):
            assert Device.objects.get(name="s7").api_port == 161, answer.content
            switch = Device.objects.get(name="s7").id
        changed = {**form, "collector": "routeros", "api_tls": "on"}
        client.post(f"/admin/inventory/device/{switch}/change/", changed)
        with acting_in(acme):
            assert Device.objects.get(name="s7").api_port == 8729


class TestServices:
    def test_tcp_probes_are_for_tcp_only(self, fleet):
        network, switch = fleet

        def methods(device: Device) -> set[str]:
            created = inventory.create_default_probe_targets(device=device, actor=ACTOR, at=AT)
            return {str(target.method) for target in created}

        assert methods(network.device) == {"tcp"}
        assert methods(switch) == set()

    def test_entities_belong_to_the_collector_of_their_device(
        self, fleet, django_assert_num_queries
    ):
        network, switch = fleet
        peer, neighbor = (
            inventory.create_bgp_peer(
                device=switch, remote_address="192.0.2.1", remote_as=64500, actor=ACTOR, at=AT
            ),
            inventory.create_ospf_neighbor(
                device=network.device, router_id="2.2.2.2", address="10.0.0.2", actor=ACTOR, at=AT
            ),
        )
        with django_assert_num_queries(1):
            found = collectors_of_entities({peer.id, neighbor.id, switch.id, network.device.id})

        assert found == {
            peer.id: "gizmo",
            switch.id: "gizmo",
            neighbor.id: "routeros",
            network.device.id: "routeros",
        }
