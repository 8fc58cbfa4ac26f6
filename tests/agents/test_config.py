import json
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agent.protocol.ids import ospf_neighbor_id, pppoe_service_id
from agent.protocol.sealing import SealedBoxInvalid, open_sealed
from apps.agents import services
from apps.agents.selectors import assigned_device_ids
from apps.audit.models import Record
from apps.core.errors import NotVisible
from apps.inventory import services as inventory
from apps.tenancy import acting_in
from apps.vault.services import store_credential_set
from tests.agents.factories import ACTOR, AT, enroll, make_agent, sealing_key
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db
PASSWORD = "router-canary-7391"


def login(name: str = "routers", secret: str = PASSWORD):
    return store_credential_set(
        name=name, kind="routeros_api", username="mon", secret=secret, actor=ACTOR, at=AT
    )


def assign(agent, *, devices=(), sites=()):
    services.assign_agent(
        agent=agent,
        device_ids=[d.id for d in devices],
        site_ids=[s.id for s in sites],
        actor=ACTOR,
        at=AT,
    )


def build(agent):
    return services.build_config(agent_id=agent.id, at=AT)


@pytest.fixture
def working(in_acme):
    """An enrolled agent with a sealing key that polls cr1."""
    agent = make_agent()
    key, public = sealing_key()
    enroll(agent, sealing_public_key=public)
    device = make_device("cr1", credential_set=login(), polling_profile={"fast_s": 3})
    assign(agent, devices=[device])
    return agent, device, key


class TestBuildConfig:
    def test_the_document_has_the_published_shape(self, working):
        agent, device, _ = working
        inventory.create_default_probe_targets(device=device, echo_port=7007, actor=ACTOR, at=AT)
        inventory.create_ospf_neighbor(
            device=device, router_id="2.2.2.2", area="0", address="10.0.0.2", actor=ACTOR, at=AT
        )
        inventory.ensure_pppoe_service(device=device, actor=ACTOR, at=AT)

        version, document = build(agent)

        assert set(document) == {
            "version", "agent", "limits", "heartbeat_seconds", "ca_pem", "next_ca_pem",
            "devices", "probe_targets",
        }  # fmt: skip
        assert document["version"] == version
        assert document["agent"] == {"id": str(agent.id), "name": "core"}
        (entry,) = document["devices"]
        assert (entry["address"], entry["port"], entry["tls"]) == ("127.20.0.1", 8728, False)
        assert entry["profile"] == {
            "fast_s": 3, "medium_s": 60, "slow_s": 300, "daily_s": 86400, "command_timeout_s": 8,
        }  # fmt: skip
        assert entry["expected"]["ospf_neighbors"] == [
            {
                "id": str(ospf_neighbor_id(device.id, "2.2.2.2", "0", "10.0.0.2")),
                "router_id": "2.2.2.2",
                "area": "0",
                "address": "10.0.0.2",
            }
        ]
        assert entry["expected"]["services"] == [
            {"id": str(pppoe_service_id(device.id, "pppoe")), "kind": "pppoe", "name": "pppoe"}
        ]
        assert {t["method"] for t in document["probe_targets"]} == {"tcp", "udp_echo"}
        assert json.loads(json.dumps(document)) == document

    def test_only_this_agents_key_opens_the_password_and_only_for_this_device(self, working):
        agent, device, key = working
        _, document = build(agent)
        sealed = document["devices"][0]["credential"]["sealed_password"]

        assert open_sealed(key, sealed, str(device.id)).decode() == PASSWORD
        assert PASSWORD not in json.dumps(document)
        other_key, _ = sealing_key()
        for wrong_key, wrong_device in ((other_key, str(device.id)), (key, str(UUID(int=1)))):
            with pytest.raises(SealedBoxInvalid):
                open_sealed(wrong_key, sealed, wrong_device)

    def test_the_version_is_stable_while_nothing_changes_though_sealing_is_random(self, working):
        agent, _, _ = working
        (first, one), (second, other) = build(agent), build(agent)

        assert first == second == services.config_version(agent_id=agent.id, at=AT)
        sealed = [d["devices"][0]["credential"]["sealed_password"] for d in (one, other)]
        assert sealed[0] != sealed[1]

    @pytest.mark.parametrize("change", ["password", "device", "target", "key", "unassign"])
    def test_the_version_follows_every_change(self, working, change):
        agent, device, _ = working
        before = services.config_version(agent_id=agent.id, at=AT)

        if change == "password":
            login(secret="another")
        elif change == "device":
            inventory.update_device(device=device, changes={"api_port": 8729}, actor=ACTOR, at=AT)
        elif change == "target":
            inventory.create_default_probe_targets(device=device, actor=ACTOR, at=AT)
        elif change == "key":
            services.record_heartbeat(agent_id=agent.id, sealing_public_key=sealing_key()[1], at=AT)
        else:
            assign(agent)

        assert services.config_version(agent_id=agent.id, at=AT) != before

    def test_another_agents_assignment_does_not_change_the_version(self, working):
        agent, _, _ = working
        before = services.config_version(agent_id=agent.id, at=AT)
        other = make_agent("other")
        assign(other, devices=[make_device("cr2")])

        assert services.config_version(agent_id=agent.id, at=AT) == before

    def test_decrypts_are_audited_once_per_version(self, working):
        agent, _, _ = working
        for _ in range(3):
            build(agent)
        leased = Record.objects.filter(action="credentials.leased")
        assert leased.count() == 1

        login(secret="another")
        build(agent)

        assert leased.count() == 2
        assert PASSWORD not in str(list(leased.values_list("detail", flat=True)))

    def test_the_version_opens_no_secret(self, working, monkeypatch):
        from apps.agents.services import config

        monkeypatch.setattr(
            config, "open_credential_set", lambda **_: pytest.fail("a secret was opened")
        )

        services.config_version(agent_id=working[0].id, at=AT)

        assert not Record.objects.filter(action="credentials.leased").exists()

    def test_an_agent_without_a_sealing_key_gets_no_passwords(self, in_acme):
        agent = make_agent()
        assign(agent, devices=[make_device(credential_set=login())])

        _, document = build(agent)

        assert document["devices"][0]["credential"] is None
        assert not Record.objects.filter(action="credentials.leased").exists()

    def test_an_agent_with_an_impossible_key_gets_no_passwords(self, in_acme):
        import base64

        agent = make_agent()
        enroll(agent, sealing_public_key=base64.b64encode(bytes(32)).decode())
        assign(agent, devices=[make_device(credential_set=login())])

        assert build(agent)[1]["devices"][0]["credential"] is None

    def test_another_tenants_agent_is_not_visible(self, working, globex):
        with acting_in(globex), pytest.raises(NotVisible):
            build(working[0])

    def test_the_number_of_queries_does_not_grow_with_the_network(self, working):
        agent, device, _ = working
        build(agent)

        def count() -> int:
            with CaptureQueriesContext(connection) as captured:
                build(agent)
            return len(captured)

        few = count()
        devices = [
            make_device(f"r{n}", management_address=f"127.20.1.{n + 1}", credential_set=login())
            for n in range(6)
        ]
        for row in devices:
            inventory.ensure_pppoe_service(device=row, actor=ACTOR, at=AT)
            inventory.create_default_probe_targets(device=row, actor=ACTOR, at=AT)
        assign(agent, devices=[device, *devices])
        build(agent)

        assert count() == few


class TestAssignment:
    def test_a_site_includes_present_and_future_devices(self, in_acme):
        site, agent = make_site("north"), make_agent()
        first = make_device("a", site=site)
        assign(agent, sites=[site])

        second = make_device("b", site=site)

        assert assigned_device_ids(agent.id) == {first.id, second.id}

    def test_an_individually_assigned_device_is_not_polled_through_its_site(self, in_acme):
        site, by_site, by_name = make_site("north"), make_agent("s"), make_agent("n")
        assigned, free = make_device("a", site=site), make_device("b", site=site)
        assign(by_site, sites=[site])
        assign(by_name, devices=[assigned])

        assert assigned_device_ids(by_site.id) == {free.id}
        assert assigned_device_ids(by_name.id) == {assigned.id}

    def test_probing_and_polling_may_be_different_agents(self, in_acme):
        core, pop = make_agent("core"), make_agent("pop")
        near, far = make_device("near"), make_device("far")
        for device in (near, far):
            inventory.create_default_probe_targets(
                device=device, methods=["tcp"], actor=ACTOR, at=AT
            )
        services.assign_agent(
            agent=core,
            device_ids=[near.id],
            probe_device_ids=[near.id, far.id],
            actor=ACTOR,
            at=AT,
        )
        assign(pop, devices=[far])

        def configured(agent) -> tuple[set[str], set[str]]:
            _, config = build(agent)
            return (
                {row["name"] for row in config["devices"]},
                {row["device_id"] for row in config["probe_targets"]},
            )

        assert configured(core) == ({"near"}, {str(near.id), str(far.id)})
        assert configured(pop) == ({"far"}, set())

    def test_replaces_the_assignment_and_audits_changes_only(self, in_acme):
        agent, one, other = make_agent(), make_device("a"), make_device("b")

        assign(agent, devices=[one])
        assign(agent, devices=[other])
        assign(agent, devices=[other])

        assert assigned_device_ids(agent.id) == {other.id}
        assert Record.objects.filter(action="agent.assigned").count() == 2

    def test_foreign_and_absent_ids_are_refused_and_nothing_changes(self, acme, globex):
        with acting_in(globex):
            foreign = make_device("theirs")
        with acting_in(acme):
            agent, own = make_agent(), make_device("a")
            assign(agent, devices=[own])

            with pytest.raises(services.UnknownEntity):
                assign(agent, devices=[foreign])

            assert assigned_device_ids(agent.id) == {own.id}
