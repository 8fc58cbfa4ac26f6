import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.inventory import selectors, services
from apps.inventory.models import BgpPeer, EntityAlias, Interface, OspfNeighbor
from apps.tenancy import acting_in
from tests.inventory.factories import ACTOR, AT, make_device, make_link, make_site

pytestmark = pytest.mark.django_db


def count_queries(call) -> int:
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def grow(count: int, start: int = 0) -> list:
    devices = []
    for n in range(start, start + count):
        device = make_device(f"r{n}", tags=["gold"])
        Interface.objects.create(device=device, name="e1")
        services.create_ospf_neighbor(
            device=device, router_id="1.1.1.1", area="0", address="", actor=ACTOR, at=AT
        )
        services.create_bgp_peer(
            device=device, remote_address="1.1.1.1", remote_as=1, actor=ACTOR, at=AT
        )
        services.ensure_pppoe_service(device=device, actor=ACTOR, at=AT)
        services.create_default_probe_targets(device=device, actor=ACTOR, at=AT)
        make_link(device, None, f"up{n}")
        devices.append(device)
    return devices


class TestResolveWireIds:
    def test_devices_targets_and_aliases_resolve_in_one_query(self, in_acme):
        device = make_device()
        (target,) = services.create_default_probe_targets(device=device, actor=ACTOR, at=AT)
        service = services.ensure_pppoe_service(device=device, actor=ACTOR, at=AT)
        alias = EntityAlias.objects.get(entity_id=service.pk)
        ids = [device.id, target.id, alias.wire_id, uuid.uuid4()]

        with CaptureQueriesContext(connection) as captured:
            entities = selectors.resolve_wire_ids(ids)

        assert len(captured) == 1
        on_it = (device.id,)
        assert entities == {
            device.id: (("device", device.id), on_it),
            target.id: (("probe_target", target.id), on_it),
            alias.wire_id: (("service", service.id), on_it),
        }

    def test_a_link_has_two_devices_and_a_site_none(self, in_acme):
        near, far = make_device("a"), make_device("z")
        link, upstream = make_link(near, far), make_link(near, None)

        entities = selectors.resolve_wire_ids([link.id, upstream.id, near.site_id])

        assert entities == {
            link.id: (("link", link.id), (near.id, far.id)),
            upstream.id: (("link", upstream.id), (near.id,)),
            near.site_id: (("site", near.site_id), ()),
        }

    def test_an_alias_wins_over_an_entity_of_that_id(self, in_acme):
        device = make_device()
        old, new = (Interface.objects.create(device=device, name=name) for name in ("old", "new"))
        EntityAlias.objects.create(
            wire_id=new.pk, device=device, entity_type="interface", entity_id=old.pk
        )

        assert selectors.resolve_wire_ids([new.pk])[new.pk].ref == ("interface", old.pk)

    def test_another_tenants_ids_are_unknown(self, acme, globex):
        with acting_in(globex):
            foreign = make_device()

        with acting_in(acme):
            assert selectors.resolve_wire_ids([foreign.id]) == {}

    def test_no_query_without_ids(self, in_acme):
        assert count_queries(lambda: selectors.resolve_wire_ids([])) == 0


class TestEntityLabels:
    def test_labels_of_interfaces_and_sessions_include_the_device(self, in_acme):
        device = make_device("cr1")
        port = Interface.objects.create(device=device, name="ether1")
        peer = services.create_bgp_peer(
            device=device, remote_address="10.0.0.9", remote_as=65009, actor=ACTOR, at=AT
        )
        absent = ("device", uuid.uuid4())

        labels = selectors.entity_labels(
            [
                ("interface", port.pk),
                ("bgp_peer", peer.pk),
                ("device", device.pk),
                absent,
                ("ghost", port.pk),
            ]
        )

        assert labels == {
            ("interface", port.pk): "cr1 ether1",
            ("bgp_peer", peer.pk): "cr1 10.0.0.9 AS65009",
            ("device", device.pk): "cr1",
        }
        assert selectors.unknown_refs([absent, ("device", device.pk)]) == [absent]

    def test_labels_match_the_models_str(self, in_acme):
        """Labels are built from columns, ``str()`` from the model; both must agree."""
        device, far = make_device("cr1"), make_device("cr2", management_address="127.20.0.2")
        on_device = [
            Interface.objects.create(device=device, name="ether1"),
            BgpPeer.objects.create(device=device, name="up", remote_address="::1", remote_as=1),
            BgpPeer.objects.create(device=device, remote_address="::2", remote_as=2),
            OspfNeighbor.objects.create(
                device=device, router_id="10.0.0.2", address="10.1.0.2", area="backbone"
            ),
        ]
        others = [
            device,
            device.site,
            make_link(device, far),
            services.create_service(name="transit", kind="transit", actor=ACTOR, at=AT),
        ]
        kinds = {"bgppeer": "bgp_peer", "ospfneighbor": "ospf_neighbor"}
        models = [(row._meta.model_name, row) for row in [*on_device, *others]]
        rows = {(kinds.get(name, name), row.pk): row for name, row in models}

        labels = selectors.entity_labels(rows)

        assert labels == {
            ref: f"cr1 {row}" if row in on_device else str(row) for ref, row in rows.items()
        }


class TestScopeAttributes:
    def test_entities_inherit_role_site_and_tags_from_their_device(self, in_acme):
        site = make_site("north")
        device = make_device("agg1", role="agg", site=site, tags=["gold"])
        port = Interface.objects.create(device=device, name="ether1")
        link = make_link(device, None)
        without_device = services.create_service(name="transit", kind="transit", actor=ACTOR, at=AT)

        scopes = selectors.scope_attributes()

        expected = (device.id, "agg", site.id, ("gold",), False)
        assert scopes["device", device.id] == expected
        assert scopes["interface", port.id] == expected
        assert scopes["link", link.id] == expected
        assert scopes["site", site.id] == (None, "", site.id, (), False)
        assert scopes["service", without_device.id] == (None, "", None, (), False)


class TestQueryCounts:
    @pytest.mark.parametrize(
        "read",
        [
            lambda devices: selectors.scope_attributes(),
            lambda devices: selectors.network_rows(),
            lambda devices: selectors.polled_devices(
                [d.id for d in devices], probed_device_ids=[d.id for d in devices]
            ),
            lambda devices: selectors.resolve_wire_ids([d.id for d in devices]),
            lambda devices: selectors.entity_labels([("device", d.id) for d in devices]),
        ],
    )
    def test_do_not_grow_with_rows(self, in_acme, read):
        few = grow(1)
        first = count_queries(lambda: read(few))
        many = few + grow(8, start=1)

        assert count_queries(lambda: read(many)) == first
