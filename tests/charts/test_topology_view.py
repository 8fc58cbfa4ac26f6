"""Nodes and edges of the topology view with their states."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4

from apps.charts import topology_view
from apps.charts.site_view import between_sites, site_look
from apps.charts.time_series import percentile_95, span_for
from apps.charts.topology_view import Overlay
from apps.topology.graph import ANY, DEVICE, DependencyGroup
from apps.topology.selectors import MapDevice, MapLink, NetworkMap

HUB, NORTH = uuid4(), uuid4()
CR1, CR2, AGG = uuid4(), uuid4(), uuid4()
CORE, BACKHAUL, SECOND, TRANSIT = uuid4(), uuid4(), uuid4(), uuid4()
NO_INCIDENT = Overlay()
SITES = {HUB: "Hub", NORTH: "North"}


def network(*extra: MapLink) -> NetworkMap:
    devices = (
        MapDevice(CR1, "cr1", "core", HUB),
        MapDevice(CR2, "cr2", "core", HUB),
        MapDevice(AGG, "agg1", "agg", NORTH),
    )
    links = (
        MapLink(CORE, "cr1-cr2", CR1, CR2, ()),
        MapLink(BACKHAUL, "cr2-agg1", CR2, AGG, ()),
        MapLink(TRANSIT, "transit", CR1, None, ()),
        *extra,
    )
    return NetworkMap({row.id: row for row in devices}, links)


def by_device(wired: NetworkMap, *, overlay: Overlay = NO_INCIDENT, groups=(), looks=None):
    return topology_view.by_device(
        wired,
        looks=looks or {CR1: "ok", CR2: "ok", AGG: "critical"},
        links={},
        sites=SITES,
        overlay=overlay,
        address="/devices/{id}/",
        groups=groups,
    )


def looks_of(shown) -> dict[str, str]:
    return {node.label: node.look for node in shown.nodes if node.kind == "device"}


class TestByDevice:
    def test_shows_the_state_of_each_device(self):
        assert looks_of(by_device(network())) == {"cr1": "ok", "cr2": "ok", "agg1": "critical"}

    def test_an_incident_marks_the_cause_and_suppressed_devices(self):
        shown = by_device(network(), overlay=Overlay(frozenset({BACKHAUL}), frozenset({AGG})))

        assert looks_of(shown)["agg1"] == "suppressed"
        assert {edge.label: edge.look for edge in shown.edges}["cr2-agg1"] == "root"

    def test_a_link_that_leaves_the_network_ends_outside(self):
        shown = by_device(network())

        assert [node.label for node in shown.nodes if node.kind == "outside"] == ["transit"]

    def test_a_group_is_between_its_dependent_and_its_members(self):
        group = DependencyGroup(uuid4(), (DEVICE, AGG), ANY, ((DEVICE, CR1), (DEVICE, CR2)))

        shown = by_device(network(), groups=(group,))

        (diamond,) = [node for node in shown.nodes if node.kind == "group"]
        dependencies = {(e.source, e.target) for e in shown.edges if e.kind == "dependency"}
        assert diamond.label == "1 / 2"
        assert dependencies == {
            (str(group.id), str(AGG)),
            (str(CR1), str(group.id)),
            (str(CR2), str(group.id)),
        }

    def test_every_edge_ends_at_a_node(self):
        stranger = MapLink(uuid4(), "to nowhere", CR1, UUID(int=1), ())

        shown = by_device(network(stranger))

        known = {node.id for node in shown.nodes}
        assert all({edge.source, edge.target} <= known for edge in shown.edges)


class TestBySite:
    def test_a_partly_reachable_site_is_a_warning(self):
        assert site_look(Counter(ok=1, critical=1)) == "warn"
        assert site_look(Counter(critical=2)) == "critical"
        assert site_look(Counter(blind=1, ok=1)) == "blind"
        assert site_look(Counter()) == "unknown"

    def test_one_of_two_links_between_sites_is_a_warning_both_are_down(self):
        wired = network(MapLink(SECOND, "cr1-agg1", CR1, AGG, ()))

        def between(**links: str) -> str:
            looks = {BACKHAUL: links["first"], SECOND: links["second"]}
            (edge,) = between_sites(wired.between_sites(), looks=looks, overlay=Overlay())
            return edge.look

        assert between(first="critical", second="ok") == "warn"
        assert between(first="critical", second="critical") == "critical"
        assert between(first="ok", second="ok") == "ok"
        assert between(first="blind", second="ok") == "blind"


class TestCharts:
    def test_no_bucket_is_shorter_than_two_and_a_half_polls(self):
        start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC)

        assert span_for(start, end, poll_seconds=60).width.total_seconds() >= 150
        assert span_for(start, end, poll_seconds=1).number == 240

    def test_the_95th_percentile_is_exceeded_by_a_twentieth(self):
        values = [float(n) for n in range(1, 101)]

        assert percentile_95([*values, None]) == 95.0
        assert percentile_95(values[:5]) is None
