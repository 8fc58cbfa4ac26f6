import uuid

import pytest

from agent.protocol.ids import bgp_peer_id, interface_id, ospf_neighbor_id, pppoe_service_id
from apps.audit.models import Record
from apps.authorization.actors import Actor
from apps.inventory import selectors, services
from apps.inventory.models import BgpPeer, Device, EntityAlias, Interface, OspfNeighbor, Service
from apps.inventory.services import discovery
from apps.tenancy import acting_in
from tests.inventory.factories import ACTOR, AT, make_device, make_link

pytestmark = pytest.mark.django_db
AGENT = Actor.agent(uuid.UUID(int=7), "core agent")


def port(device: Device, name: str, **fields) -> dict:
    return {
        "id": str(interface_id(device.id, name)),
        "device_id": str(device.id),
        "name": name,
        "type": "ether",
        "disabled": False,
        **fields,
    }


def full_patch(device: Device) -> dict:
    on = {"device_id": str(device.id)}
    return {
        "devices": [
            {
                "id": str(device.id),
                "identity": "CR1",
                "version": "7.15.3",
                "board_name": "CCR2004",
                "serial": "HE1",
                "uptime_seconds": 77,
            }
        ],
        "interfaces": [port(device, "ether1", speed_bps=10**9), port(device, "ether2")],
        "bgp_peers": [
            {
                "id": str(bgp_peer_id(device.id, "transit", "10.9.9.9", "65001")),
                "name": "transit",
                "remote_address": "10.9.9.9",
                "remote_as": 65001,
                "disabled": False,
                **on,
            }
        ],
        "ospf_neighbors": [
            {
                "id": str(ospf_neighbor_id(device.id, "10.0.0.2", "backbone", "10.1.0.2")),
                "router_id": "10.0.0.2",
                "area": "backbone",
                "address": "10.1.0.2",
                **on,
            }
        ],
        "services": [
            {
                "id": str(pppoe_service_id(device.id, "pppoe")),
                "kind": "pppoe",
                "name": "pppoe",
                **on,
            }
        ],
    }


def apply(patch: dict, *devices: Device) -> discovery.DiscoveryOutcome:
    return services.apply_discovery(
        patch=patch, device_ids=[d.id for d in devices], actor=AGENT, at=AT
    )


class TestApplyDiscovery:
    def test_creates_every_entity_with_its_wire_id(self, in_acme):
        device = make_device()

        outcome = apply(full_patch(device), device)

        assert (outcome.created, outcome.rejected) == (5, ())
        device.refresh_from_db()
        assert (device.identity, device.version, device.serial) == ("CR1", "7.15.3", "HE1")
        assert (device.discovered_at, device.last_seen_at) == (AT, AT)
        ether1 = Interface.objects.get(pk=interface_id(device.id, "ether1"))
        assert (ether1.source, ether1.speed_bps, ether1.last_seen_at) == ("discovered", 10**9, AT)
        assert BgpPeer.objects.get().remote_as == 65001
        assert OspfNeighbor.objects.get().address == "10.1.0.2"
        assert Service.objects.get().kind == "pppoe"

    def test_is_idempotent(self, in_acme):
        device = make_device()
        apply(full_patch(device), device)
        before = (Record.objects.count(), EntityAlias.objects.count())

        outcome = apply(full_patch(device), device)

        assert (outcome.created, outcome.changed) == (0, 0)
        assert (Record.objects.count(), EntityAlias.objects.count()) == before

    def test_applies_changes(self, in_acme):
        device = make_device()
        apply({"interfaces": [port(device, "ether1", comment="old")]}, device)

        outcome = apply({"interfaces": [port(device, "ether1", comment="new")]}, device)

        assert outcome.changed == 1
        assert Interface.objects.get().comment == "new"

    def test_omitted_fields_are_unchanged(self, in_acme):
        device = make_device()
        apply({"interfaces": [port(device, "ether1", speed_bps=10**9)]}, device)

        apply({"interfaces": [port(device, "ether1")]}, device)

        assert Interface.objects.get().speed_bps == 10**9

    def test_operator_fields_are_unchanged(self, in_acme):
        device = make_device()
        apply(full_patch(device), device)
        ether1 = Interface.objects.get(name="ether1")
        services.update_interface(
            interface=ether1, changes={"speed_bps": 5 * 10**8}, actor=ACTOR, at=AT
        )
        device.refresh_from_db()
        services.update_device(device=device, changes={"serial": "mine"}, actor=ACTOR, at=AT)

        patch = full_patch(device)
        patch["interfaces"][0]["comment"] = "reported"
        apply(patch, device)

        ether1.refresh_from_db()
        device.refresh_from_db()
        assert (ether1.speed_bps, ether1.comment) == (5 * 10**8, "reported")
        assert (device.serial, device.identity) == ("mine", "CR1")

    def test_setting_a_field_to_its_discovered_value_makes_it_an_operator_field(self, in_acme):
        device = make_device()
        apply({"interfaces": [port(device, "ether1", comment="c")]}, device)
        services.update_interface(
            interface=Interface.objects.get(), changes={"comment": "c"}, actor=ACTOR, at=AT
        )

        apply({"interfaces": [port(device, "ether1", comment="other")]}, device)

        assert Interface.objects.get().comment == "c"

    def test_a_row_created_by_an_operator_gets_an_alias_and_keeps_its_id(self, in_acme):
        device = make_device()
        own = services.create_bgp_peer(
            device=device, remote_address="10.9.9.9", remote_as=65001, actor=ACTOR, at=AT
        )

        outcome = apply(full_patch(device), device)

        assert BgpPeer.objects.get().pk == own.pk
        assert BgpPeer.objects.get().name == "transit"
        assert outcome.created == 4
        named = bgp_peer_id(device.id, "transit", "10.9.9.9", "65001")
        assert selectors.resolve_wire_ids([named])[named].ref == ("bgp_peer", own.pk)

    def test_a_remapped_alias_keeps_the_id_after_a_rename(self, in_acme):
        device = make_device()
        apply({"interfaces": [port(device, "ether1")]}, device)
        old = Interface.objects.get()
        renamed = interface_id(device.id, "uplink")
        EntityAlias.objects.create(
            wire_id=renamed, device=device, entity_type="interface", entity_id=old.pk
        )

        outcome = apply({"interfaces": [port(device, "uplink")]}, device)

        assert outcome.created == 0
        assert Interface.objects.get().name == "uplink"
        assert Interface.objects.get().pk == old.pk

    def test_links_are_bound_when_their_interfaces_appear(self, in_acme):
        one, other = make_device("cr1"), make_device("cr2")
        link = make_link(one, other)

        first = apply({"interfaces": [port(one, "to-cr2")]}, one, other)
        second = apply({"interfaces": [port(other, "to-cr1")]}, one, other)

        link.refresh_from_db()
        assert (first.links_bound, second.links_bound) == (1, 1)
        assert link.a_interface_id == interface_id(one.id, "to-cr2")
        assert link.z_interface_id == interface_id(other.id, "to-cr1")


class TestRefusals:
    def test_an_unassigned_device_is_rejected_by_index(self, in_acme):
        mine, not_mine = make_device("cr1"), make_device("cr2")

        outcome = apply({"interfaces": [port(mine, "ether1"), port(not_mine, "ether1")]}, mine)

        assert [(r.section, r.index, r.code) for r in outcome.rejected] == [
            ("interfaces", 1, "not_assigned")
        ]
        assert list(Interface.objects.values_list("device", flat=True)) == [mine.id]

    def test_another_tenants_device_is_rejected_even_when_listed_as_assigned(self, acme, globex):
        with acting_in(globex):
            foreign = make_device("theirs")

        with acting_in(acme):
            outcome = apply({"interfaces": [port(foreign, "ether1")]}, foreign)

        assert [r.code for r in outcome.rejected] == ["unknown_entity"]
        with acting_in(globex):
            assert not Interface.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"id": str(uuid.UUID(int=5))}, "bad_wire_id"),
            ({"name": "x" * 101}, "bad_item"),
            ({"name": "nul\x00"}, "bad_item"),
            ({"comment": "half \ud800"}, "bad_text"),
            ({"speed_bps": -1}, "bad_item"),
            ({"speed_bps": 2**63}, "bad_item"),
            ({"mtu": "1500"}, "bad_item"),
            ({"device_id": None}, "bad_item"),
        ],
    )
    def test_an_invalid_item_is_rejected_and_the_next_is_applied(self, in_acme, fields, code):
        device = make_device()
        bad = {**port(device, "ether1"), **fields}

        outcome = apply({"interfaces": [bad, port(device, "ether2")]}, device)

        assert [(r.index, r.code) for r in outcome.rejected] == [(0, code)]
        assert Interface.objects.get().name == "ether2"

    @pytest.mark.parametrize(
        "patch", [{}, {"interfaces": None}, {"interfaces": {}}, {"unknown_section": [1]}]
    )
    def test_invalid_sections_are_ignored(self, in_acme, patch):
        assert apply(patch, make_device()).created == 0

    @pytest.mark.parametrize("item", [None, 7, "text", [], {}])
    def test_invalid_items_are_rejected(self, in_acme, item):
        outcome = apply({"devices": [item]}, make_device())

        assert [r.code for r in outcome.rejected] == ["bad_item"]

    def test_limits_the_entities_per_device(self, in_acme, monkeypatch):
        monkeypatch.setattr(discovery, "MAX_PER_DEVICE", 3)
        device = make_device()
        apply({"interfaces": [port(device, f"e{n}") for n in range(2)]}, device)

        outcome = apply({"interfaces": [port(device, f"e{n}") for n in range(5)]}, device)

        assert [(r.index, r.code) for r in outcome.rejected] == [
            (3, "too_many_entities"),
            (4, "too_many_entities"),
        ]
        assert Interface.objects.count() == 3

    def test_the_last_of_two_items_with_one_id_wins(self, in_acme):
        device = make_device()

        apply(
            {"interfaces": [port(device, "e", comment="a"), port(device, "e", comment="b")]},
            device,
        )

        assert Interface.objects.get().comment == "b"


class TestQueries:
    def test_their_number_does_not_grow_with_the_patch(
        self, in_acme, django_assert_max_num_queries
    ):
        device = make_device()
        for count in (1, 40):
            patch = {"interfaces": [port(device, f"p{count}-{n}") for n in range(count)]}
            with django_assert_max_num_queries(14):
                assert apply(patch, device).created == count
