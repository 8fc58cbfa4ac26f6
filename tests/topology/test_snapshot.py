import hashlib
import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.audit.models import Record
from apps.inventory import services as inventory
from apps.inventory.models import Interface
from apps.tenancy import acting_in
from apps.topology import graph, services
from apps.topology.graph import AgentLocation
from apps.topology.models import DependencyGroup, DependencyMember
from apps.topology.selectors import graph_snapshot
from tests.inventory.factories import ACTOR, AT, make_device, make_link

pytestmark = pytest.mark.django_db


def group(dependent, members, mode="any", **fields) -> DependencyGroup:
    return services.create_dependency_group(
        dependent=("device", dependent.id),
        mode=mode,
        members=[("link", link.id) for link in members],
        actor=ACTOR,
        at=AT,
        **fields,
    )


@pytest.fixture
def spur(in_acme):
    """cr1 with two ways to agg1."""
    cr1 = make_device("cr1", management_address="127.20.0.1")
    agg1 = make_device("agg1", role="agg", management_address="127.20.0.7")
    links = [
        make_link(cr1, agg1, name, a_interface_name=name, z_interface_name=name) for name in "ab"
    ]
    return cr1, agg1, links


class TestGraphSnapshot:
    def test_it_contains_everything(self, spur):
        cr1, agg1, (first, second) = spur
        port = Interface.objects.create(device=cr1, name="b")
        neighbor = inventory.create_ospf_neighbor(
            device=cr1,
            router_id="127.20.0.7",
            area="0",
            address="10.0.0.2",
            interface_name="b",
            actor=ACTOR,
            at=AT,
        )
        peer = inventory.create_bgp_peer(
            device=agg1, remote_address="127.20.0.1", remote_as=65000, actor=ACTOR, at=AT
        )
        created_group = group(agg1, [first, second], "k_of_n", k=1)
        location = AgentLocation(uuid.uuid4(), "core", cr1.id)

        snapshot = graph_snapshot(agents=[location])

        assert {d.name for d in snapshot.devices} == {"cr1", "agg1"}
        assert [p.link_id for p in snapshot.interfaces if p.id == port.id] == [second.id]
        (found,) = snapshot.ospf_neighbors
        assert (found.id, found.link_id, found.far_device_id) == (neighbor.id, second.id, agg1.id)
        assert [(p.id, p.far_device_id) for p in snapshot.bgp_peers] == [(peer.id, cr1.id)]
        assert snapshot.agents == (location,)
        assert [(g.id, g.needed) for g in snapshot.groups] == [(created_group.id, 1)]

    def test_it_contains_nothing_of_another_tenant(self, spur, globex):
        with acting_in(globex):
            assert graph_snapshot().devices == ()

    def test_deleted_entities_are_left_out_of_groups(self, spur):
        _, agg1, (first, second) = spur
        group(agg1, [first, second], "all")
        group(agg1, [first])
        inventory.delete_link(link=first, actor=ACTOR, at=AT)

        (left,) = graph_snapshot().groups

        assert left.members == (("link", second.id),)

    def test_the_number_of_queries_is_constant(self, spur):
        def count() -> int:
            with CaptureQueriesContext(connection) as captured:
                graph_snapshot()
            return len(captured)

        cr1, agg1, links = spur
        group(agg1, links)
        expected = count()
        for n in range(8):
            other = make_device(f"r{n}", management_address=f"127.20.1.{n + 1}")
            Interface.objects.create(device=other, name="x")
            group(other, [make_link(cr1, other, f"l{n}", a_interface_name=f"l{n}")])

        assert count() == expected == 10

    def test_the_version_is_stable_until_something_changes(self, spur):
        first = graph_snapshot().version
        assert graph_snapshot().version == first

        make_device("new", management_address="127.20.0.9")

        assert graph_snapshot().version != first

    def test_its_parts_are_the_canonical_document(self, spur, monkeypatch):
        monkeypatch.setattr(graph, "ROWS_PER_PART", 2)
        for number in range(5):
            make_device(f"r{number}", management_address=f"127.20.2.{number + 1}")
        found = graph_snapshot()
        whole = json.dumps(found.as_document(), sort_keys=True, separators=(",", ":")).encode()

        assert b"".join(found.canonical_parts()) == whole
        assert found.version == hashlib.sha256(whole).hexdigest()


class TestGroups:
    def test_writes_are_audited(self, spur):
        _, agg1, links = spur
        created = group(agg1, links)
        services.update_dependency_group(
            group=created, mode="all", members=[("link", links[0].id)], actor=ACTOR, at=AT
        )
        services.delete_dependency_group(group=created, actor=ACTOR, at=AT)

        actions = Record.objects.filter(entity_type="dependency_group").order_by("sequence")
        assert [r.action.split(".")[1] for r in actions] == ["created", "changed", "deleted"]
        assert not DependencyMember.objects.exists()

    @pytest.mark.parametrize(
        "fault",
        [
            {"members": []},
            {"mode": "most"},
            {"mode": "k_of_n"},
            {"mode": "k_of_n", "k": 0},
            {"mode": "k_of_n", "k": 3},
            {"mode": "all", "k": 1},
            {"members": [("link", uuid.uuid4())]},
            {"members": [("agent", uuid.uuid4())]},
            {"dependent": ("device", uuid.uuid4())},
        ],
    )
    def test_an_invalid_group_is_rejected(self, spur, fault):
        _, agg1, links = spur
        arguments = {
            "dependent": ("device", agg1.id),
            "mode": "any",
            "members": [("link", link.id) for link in links],
            **fault,
        }

        with pytest.raises(services.GroupInvalid):
            services.create_dependency_group(**arguments, actor=ACTOR, at=AT)

        assert not DependencyGroup.objects.exists()

    def test_an_entity_cannot_depend_on_itself(self, spur):
        _, agg1, _links = spur

        with pytest.raises(services.GroupInvalid):
            services.create_dependency_group(
                dependent=("device", agg1.id),
                mode="any",
                members=[("device", agg1.id)],
                actor=ACTOR,
                at=AT,
            )

    def test_another_tenants_entities_are_unknown(self, spur, globex):
        with acting_in(globex):
            foreign = make_device("theirs")

        with pytest.raises(services.GroupInvalid):
            services.create_dependency_group(
                dependent=("device", spur[1].id),
                mode="any",
                members=[("device", foreign.id)],
                actor=ACTOR,
                at=AT,
            )
