"""Availability against a slow reference implementation, and on common network shapes."""

from uuid import UUID, uuid5

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.incidents.rca.availability import Network
from apps.topology.graph import (
    ALL,
    ANY,
    K_OF_N,
    DependencyGroup,
    Device,
    Graph,
    Link,
    Ref,
    Service,
    Site,
    build_graph,
)

SPACE = UUID("5b0c8a36-4f2e-4a59-9a3e-0d3b6f1a2c4d")


def pk(name: str) -> UUID:
    return uuid5(SPACE, name)


def dev(name: str) -> Ref:
    return ("device", pk(name))


def link_ref(name: str) -> Ref:
    return ("link", pk(name))


def network(links: str, *, groups=(), services=(), sites=None) -> Graph:
    """A graph from text such as "a-b b-c": each pair is a link, named by its two devices."""
    pairs = [word.split("-") for word in links.split()]
    names = sorted({name for pair in pairs for name in pair})
    sites = sites or {}
    return build_graph(
        sites=[Site(pk(site), site) for site in sorted(set(sites.values()))],
        devices=[Device(pk(n), n, "core", pk(sites[n]) if n in sites else None) for n in names],
        links=[Link(pk(f"{a}-{z}"), f"{a}-{z}", "ring", pk(a), pk(z)) for a, z in pairs],
        services=[Service(pk(s), s, "pppoe", pk(d)) for s, d in services],
        groups=groups,
    )


def group(name: str, dependent: Ref, mode: str, *members: Ref, k: int | None = None):
    return DependencyGroup(pk(name), dependent, mode, members, k)


def down(graph: Graph, root: str, *failed: Ref) -> set[str]:
    """Names of the devices that do not work."""
    alive = Network(graph).working(roots=[dev(root)], failed=failed)
    return {device.name for device in graph.devices if ("device", device.id) not in alive}


RING = "cr1-cr2 cr2-cr3 cr3-cr4 cr4-cr1 agg1-cr2 bng1-agg1 acc1-agg1"


class TestTopologies:
    def test_with_nothing_failed_everything_works(self):
        assert down(network(RING), "cr1") == set()

    def test_one_cut_in_a_ring_cuts_nothing_off(self):
        for link in ("cr1-cr2", "cr2-cr3", "cr3-cr4", "cr4-cr1"):
            assert down(network(RING), "cr1", link_ref(link)) == set()

    def test_two_cuts_in_a_ring_isolate_the_routers_between(self):
        assert down(network(RING), "cr1", link_ref("cr2-cr3"), link_ref("cr3-cr4")) == {"cr3"}

    def test_a_cut_backhaul_takes_down_the_pop_behind_it(self):
        assert down(network(RING), "cr1", link_ref("agg1-cr2")) == {"agg1", "bng1", "acc1"}

    def test_a_ring_without_its_root_does_not_support_itself(self):
        island = "root-gate gate-a a-b b-c c-a"

        assert down(network(island), "root", link_ref("root-gate")) == {"gate", "a", "b", "c"}

    def test_from_inside_a_cut_off_pop_the_rest_is_unreachable(self):
        assert down(network(RING), "agg1", link_ref("agg1-cr2")) == {"cr1", "cr2", "cr3", "cr4"}

    def test_a_failed_site_takes_down_its_routers_and_those_behind_them(self):
        graph = network(RING, sites={"agg1": "north", "bng1": "north"})

        assert down(graph, "cr1", ("site", pk("north"))) == {"agg1", "bng1", "acc1"}


class TestGroups:
    UPLINKS = "core-left core-right left-acc right-acc"

    def test_any_is_lost_with_the_last_member(self):
        transit = ("service", pk("transit"))
        graph = network(
            self.UPLINKS,
            services=[("transit", "core")],
            groups=[group("g", transit, ANY, dev("left"), dev("right"))],
        )
        availability = Network(graph)

        assert transit in availability.working(roots=[dev("core")], failed=[dev("left")])
        assert transit not in availability.working(
            roots=[dev("core")], failed=[dev("left"), dev("right")]
        )

    def test_all_is_lost_with_the_first_member(self):
        service = ("service", pk("s"))
        graph = network(
            self.UPLINKS,
            services=[("s", "core")],
            groups=[group("g", service, ALL, dev("left"), dev("right"))],
        )

        assert service not in Network(graph).working(roots=[dev("core")], failed=[dev("left")])

    def test_two_of_three(self):
        service = ("service", pk("s"))
        graph = network(
            "core-a core-b core-c",
            services=[("s", "core")],
            groups=[group("g", service, K_OF_N, dev("a"), dev("b"), dev("c"), k=2)],
        )
        availability = Network(graph)

        assert service in availability.working(roots=[dev("core")], failed=[dev("a")])
        assert service not in availability.working(roots=[dev("core")], failed=[dev("a"), dev("b")])


NAMES = "abcdefgh"
pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda p: p[0] < p[1])
graphs = st.lists(pairs, min_size=1, max_size=14, unique=True).map(
    lambda found: " ".join(f"{a}-{z}" for a, z in found)
)


def reachable_by_search(graph: Graph, root: UUID, failed: set[Ref]) -> set[UUID]:
    """Reference implementation: expands the reachable set until nothing is added."""
    reached = {root} if ("device", root) not in failed else set()
    while True:
        more = {
            far
            for link in graph.links
            if ("link", link.id) not in failed
            for near, far in (
                (link.a_device_id, link.z_device_id),
                (link.z_device_id, link.a_device_id),
            )
            if near in reached and far not in reached and ("device", far) not in failed
        }
        if not more:
            return reached
        reached |= more


@settings(max_examples=200, deadline=None)
@given(graphs, st.data())
def test_equals_a_graph_search_for_any_failures(text, data):
    graph = network(text)
    entities = [("device", d.id) for d in graph.devices] + [("link", x.id) for x in graph.links]
    failed = set(data.draw(st.lists(st.sampled_from(entities), max_size=6)))
    root = data.draw(st.sampled_from(graph.devices)).id

    alive = Network(graph).working(roots=[("device", root)], failed=failed)

    assert {pk for kind, pk in alive if kind == "device"} == reachable_by_search(
        graph, root, failed
    )


@settings(max_examples=100, deadline=None)
@given(graphs, st.data())
def test_more_failures_never_restore_anything(text, data):
    graph = network(text)
    entities = [("device", d.id) for d in graph.devices] + [("link", x.id) for x in graph.links]
    some = set(data.draw(st.lists(st.sampled_from(entities), max_size=4)))
    more = some | set(data.draw(st.lists(st.sampled_from(entities), max_size=4)))
    root = [("device", graph.devices[0].id)]
    availability = Network(graph)

    assert availability.working(roots=root, failed=more) <= availability.working(
        roots=root, failed=some
    )


@settings(max_examples=150, deadline=None)
@given(graphs, st.data())
def test_lost_is_the_difference_between_before_and_after(text, data):
    plain = network(text)
    entities = [("device", d.id) for d in plain.devices] + [("link", x.id) for x in plain.links]
    pick = st.sampled_from(entities)
    groups = []
    for number in range(data.draw(st.integers(0, 3))):
        members = data.draw(st.lists(pick, min_size=1, max_size=4, unique=True))
        mode = data.draw(st.sampled_from([ANY, ALL, K_OF_N]))
        k = data.draw(st.integers(1, len(members)))
        groups.append(group(f"g{number}", data.draw(pick), mode, *members, k=k))
    availability = Network(network(text, groups=groups))
    roots = [("device", data.draw(st.sampled_from(plain.devices)).id)]
    before, more = (set(data.draw(st.lists(pick, max_size=4))) for _ in range(2))

    support = availability.support(roots, before)

    after = availability.working(roots=roots, failed=before | more)
    assert support.alive - support.lost(more) == after
    assert support.lost(more) <= support.alive


@settings(max_examples=200, deadline=None)
@given(graphs, st.data())
def test_sequential_failures_equal_simultaneous_failures(text, data):
    graph = network(text)
    entities = [("device", d.id) for d in graph.devices] + [("link", x.id) for x in graph.links]
    pick = st.lists(st.sampled_from(entities), max_size=3)
    steps = [set(step) for step in data.draw(st.lists(pick, min_size=1, max_size=5))]
    more = set(data.draw(pick))
    roots = [("device", data.draw(st.sampled_from(graph.devices)).id)]
    availability = Network(graph)

    support, failed = availability.support(roots), set()
    for step in steps:
        before = support
        support, failed = support.without(step), failed | step
        assert before.alive - before.lost(step) == support.alive

    fresh = availability.support(roots, failed)
    assert support.alive == fresh.alive
    assert support.lost(more) == fresh.lost(more)
