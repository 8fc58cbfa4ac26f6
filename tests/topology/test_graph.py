import json
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from apps.topology import graph
from apps.topology.graph import Graph, build_graph


def uid(number: int) -> UUID:
    return UUID(int=number)


def example() -> dict:
    return {
        "sites": [graph.Site(uid(1), "hub", "H", 1.5, -2.25), graph.Site(uid(2), "north")],
        "devices": [graph.Device(uid(n), f"r{n}", "core", uid(1)) for n in (11, 12, 13)],
        "interfaces": [graph.Interface(uid(21), uid(11), "sfp1", uid(31))],
        "links": [
            graph.Link(uid(31), "r11-r12", "ring", uid(11), uid(12), "sfp1", "sfp1", uid(21)),
            graph.Link(uid(32), "upstream", "edge", uid(13), None, capacity_bps=10**10),
        ],
        "bgp_peers": [graph.BgpPeer(uid(41), uid(11), "", "10.0.0.2", 65001, None, uid(12))],
        "ospf_neighbors": [
            graph.OspfNeighbor(uid(51), uid(11), "2.2.2.2", "0", "10.0.0.2", "", uid(31), uid(12))
        ],
        "services": [graph.Service(uid(61), "pppoe", "pppoe", uid(13))],
        "probe_targets": [graph.ProbeTarget(uid(71), "r11 echo", "udp_echo", "127.0.0.1", uid(11))],
        "agents": [
            graph.AgentLocation(uid(81), "core", uid(11)),
            graph.AgentLocation(uid(82), "lost"),
        ],
        "groups": [
            graph.DependencyGroup(
                uid(91),
                ("site", uid(2)),
                graph.K_OF_N,
                (("link", uid(32)), ("link", uid(31)), ("link", uid(31))),
                2,
            )
        ],
    }


class TestGraph:
    @given(st.randoms(use_true_random=False))
    def test_the_version_does_not_depend_on_the_order_of_parts(self, random):
        shuffled = {name: random.sample(rows, len(rows)) for name, rows in example().items()}

        graph = build_graph(**shuffled)

        assert graph == build_graph(**example())
        assert graph.version == build_graph(**example()).version

    def test_any_change_changes_the_version(self):
        base = build_graph(**example())
        for name in example():
            fewer = example()
            fewer[name] = fewer[name][1:]
            assert build_graph(**fewer).version != base.version, name

    def test_it_survives_json(self):
        graph = build_graph(**example())

        again = Graph.from_document(json.loads(json.dumps(graph.as_document())))

        assert again == graph
        assert again.version == graph.version

    def test_unknown_keys_of_a_newer_document_are_ignored(self):
        document = build_graph(**example()).as_document()
        document["devices"][0]["colour"] = "blue"
        document["satellites"] = [{}]

        assert Graph.from_document(document) == build_graph(**example())

    def test_members_are_unique_and_sorted(self):
        (group,) = build_graph(**example()).groups

        assert group.members == (("link", uid(31)), ("link", uid(32)))

    def test_needed_members(self):
        members = tuple(("link", uid(n)) for n in (1, 2, 3))

        def needed(mode, k=None, of=members):
            return graph.DependencyGroup(uuid4(), ("site", uid(9)), mode, of, k).needed

        assert [needed("any"), needed("all"), needed("k_of_n", 2)] == [1, 3, 2]
        assert needed("k_of_n", 2, members[:1]) == 1
        assert needed("any", of=()) == 0

    def test_labels_are_the_operators_names(self):
        graph = build_graph(**example())

        assert graph.label_of(("device", uid(11))) == "r11"
        assert graph.label_of(("interface", uid(21))) == "r11 sfp1"
        assert graph.label_of(("ospf_neighbor", uid(51))) == "r11 to r12"
        assert graph.label_of(("bgp_peer", uid(41))) == "r11 10.0.0.2 AS65001"
        assert graph.label_of(("link", uid(99))) == f"link {uid(99)}"

    def test_entities_know_their_device(self):
        graph = build_graph(**example())

        assert graph.device_of(("interface", uid(21))) == uid(11)
        assert graph.device_of(("device", uid(11))) == uid(11)
        assert graph.device_of(("site", uid(1))) is None

    def test_links_are_found_from_both_ends(self):
        graph = build_graph(**example())

        assert [link.name for link in graph.links_of_device[uid(12)]] == ["r11-r12"]
        assert [link.name for link in graph.links_of_device[uid(13)]] == ["upstream"]
