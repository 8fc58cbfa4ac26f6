"""Small networks: a ring, a spur, parallel links; rows as RouterOS lists them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.topology.graph import BgpPeer, Interface, Link, OspfNeighbor
from apps.topology.resolve import (
    LinkIndex,
    resolve_bgp_peers,
    resolve_interfaces,
    resolve_ospf_neighbors,
)


def uid(number: int) -> UUID:
    return UUID(int=number)


CR1, CR2, CR3, AGG, BNG, ACC = (uid(n) for n in range(1, 7))


def link(number: int, a: UUID, z: UUID | None, a_port: str = "", z_port: str = "") -> Link:
    return Link(
        id=uid(100 + number),
        name=f"l{number}",
        kind="ring",
        a_device_id=a,
        z_device_id=z,
        a_interface_name=a_port,
        z_interface_name=z_port,
    )


def neighbor_row(
    number: int, device: UUID, router_id: str, address: str = "", port: str = ""
) -> OspfNeighbor:
    return OspfNeighbor(
        id=uid(1000 + number),
        device_id=device,
        router_id=router_id,
        area="0",
        address=address,
        interface_name=port,
    )


class TestOspfNeighbors:
    def test_by_the_named_interface(self):
        link_index = LinkIndex.of(
            [link(1, CR1, CR2, "sfp1", "sfp1"), link(2, CR1, CR2, "sfp2", "sfp2")]
        )

        (row,) = resolve_ospf_neighbors([neighbor_row(1, CR1, "2.2.2.2", port="sfp2")], link_index)

        assert (row.link_id, row.far_device_id) == (uid(102), CR2)

    def test_by_a_known_router_id_and_a_single_link(self):
        link_index = LinkIndex.of([link(1, CR1, CR2)])

        (row,) = resolve_ospf_neighbors(
            [neighbor_row(1, CR1, "2.2.2.2")], link_index, router_ids={"2.2.2.2": CR2}
        )

        assert (row.link_id, row.far_device_id) == (uid(101), CR2)

    def test_parallel_links_stay_unresolved(self):
        link_index = LinkIndex.of([link(1, CR1, CR2, "a", "a"), link(2, CR1, CR2, "b", "b")])

        (row,) = resolve_ospf_neighbors(
            [neighbor_row(1, CR1, "2.2.2.2")], link_index, router_ids={"2.2.2.2": CR2}
        )

        assert (row.link_id, row.far_device_id) == (None, CR2)

    def test_a_port_named_on_one_side_resolves_the_other_side_of_parallel_links(self):
        link_index = LinkIndex.of([link(1, CR1, CR2, "a", "a"), link(2, CR1, CR2, "b", "b")])
        rows = [
            neighbor_row(1, CR1, "2.2.2.2", "10.0.0.2", port="b"),
            neighbor_row(2, CR2, "1.1.1.1", "10.0.0.1"),
        ]

        resolved = resolve_ospf_neighbors(rows, link_index)

        assert [row.link_id for row in resolved] == [uid(102), uid(102)]

    @pytest.mark.parametrize(
        ("address", "other_address"),
        [("10.0.0.2", "10.0.0.1"), ("10.0.0.4", "10.0.0.5"), ("fe80::1", "fe80::2")],
    )
    def test_two_rows_alone_in_a_link_subnet_are_a_pair(self, address, other_address):
        # AGG has three spokes: without addresses BNG and ACC cannot be distinguished.
        link_index = LinkIndex.of([link(1, AGG, CR2), link(2, AGG, BNG), link(3, AGG, ACC)])
        rows = [
            neighbor_row(1, AGG, "5.5.5.5", address),
            neighbor_row(2, BNG, "4.4.4.4", other_address),
        ]

        resolved = resolve_ospf_neighbors(rows, link_index)

        assert [(r.link_id, r.far_device_id) for r in resolved] == [
            (uid(102), BNG),
            (uid(102), AGG),
        ]

    def test_rows_of_a_lan_with_three_routers_do_not_pair(self):
        link_index = LinkIndex.of([link(1, AGG, BNG), link(2, AGG, ACC), link(3, BNG, ACC)])
        rows = [
            neighbor_row(1, AGG, "5.5.5.5", "10.0.0.2"),
            neighbor_row(2, AGG, "6.6.6.6", "10.0.0.3"),
            neighbor_row(3, BNG, "4.4.4.4", "10.0.0.1"),
            neighbor_row(4, BNG, "6.6.6.6", "10.0.0.3"),
            neighbor_row(5, ACC, "4.4.4.4", "10.0.0.1"),
            neighbor_row(6, ACC, "5.5.5.5", "10.0.0.2"),
        ]

        resolved = resolve_ospf_neighbors(rows, link_index)

        # The observers decide: only BNG is linked to both AGG and ACC, and so on.
        assert [row.far_device_id for row in resolved] == [BNG, ACC, AGG, ACC, AGG, BNG]

    def test_the_owner_of_a_router_id_is_inferred_from_its_observers(self):
        # The ring CR1-CR2-CR3 with AGG behind CR2: 2.2.2.2 is linked to CR1, CR3 and AGG.
        link_index = LinkIndex.of(
            [link(1, CR1, CR2), link(2, CR2, CR3), link(3, CR3, CR1), link(4, CR2, AGG)]
        )
        rows = [
            neighbor_row(1, CR1, "2.2.2.2"),
            neighbor_row(2, CR3, "2.2.2.2"),
            neighbor_row(3, AGG, "2.2.2.2"),
        ]

        resolved = resolve_ospf_neighbors(rows, link_index)

        assert [row.link_id for row in resolved] == [uid(101), uid(102), uid(104)]

    def test_two_ids_for_the_same_router_stay_unresolved(self):
        link_index = LinkIndex.of([link(1, CR1, CR2)])

        resolved = resolve_ospf_neighbors(
            [neighbor_row(1, CR1, "2.2.2.2"), neighbor_row(2, CR1, "9.9.9.9")], link_index
        )

        assert [(row.link_id, row.far_device_id) for row in resolved] == [(None, None)] * 2

    def test_an_id_that_is_claimed_for_two_routers_has_no_owner(self):
        link_index = LinkIndex.of([link(1, CR1, CR2, "a", "a"), link(2, CR1, CR3, "b", "b")])
        rows = [
            neighbor_row(1, CR1, "7.7.7.7", port="a"),
            neighbor_row(2, CR1, "7.7.7.7", port="b"),
        ]

        resolved = resolve_ospf_neighbors(rows, link_index)

        assert [row.link_id for row in resolved] == [uid(101), uid(102)]
        assert {row.far_device_id for row in resolved} == {None}

    @given(st.permutations(range(6)))
    def test_the_order_of_rows_does_not_matter(self, order):
        link_index = LinkIndex.of(
            [link(1, CR1, CR2, "p", ""), link(2, CR2, CR3), link(3, CR3, CR1), link(4, CR2, AGG)]
        )
        rows = [
            neighbor_row(1, CR1, "2.2.2.2", port="p"),
            neighbor_row(2, CR2, "1.1.1.1", "10.0.0.1"),
            neighbor_row(3, CR2, "3.3.3.3", "10.0.1.2"),
            neighbor_row(4, CR3, "2.2.2.2", "10.0.1.1"),
            neighbor_row(5, CR1, "3.3.3.3"),
            neighbor_row(6, AGG, "2.2.2.2"),
        ]

        resolved = resolve_ospf_neighbors([rows[n] for n in order], link_index)

        assert resolved == resolve_ospf_neighbors(rows, link_index)
        # 1.1.1.1 may be CR1 or AGG: it stays unresolved.
        assert [row.link_id for row in resolved] == [
            uid(101), None, uid(102), uid(102), uid(103), uid(104),
        ]  # fmt: skip


class TestInterfaces:
    def test_ports_are_resolved_by_id_and_name_and_shared_ends_by_neither(self):
        bound = Link(uid(101), "l", "ring", CR1, CR2, "renamed", "b", a_interface_id=uid(9))
        link_index = LinkIndex.of([bound, link(2, CR3, CR1, "x"), link(3, CR3, CR2, "x")])
        ports = [
            Interface(uid(9), CR1, "sfp1"),
            Interface(uid(10), CR2, "b"),
            Interface(uid(11), CR3, "x"),
        ]

        assert [p.link_id for p in resolve_interfaces(ports, link_index)] == [
            uid(101),
            uid(101),
            None,
        ]


class TestBgpPeers:
    def peer(self, address: str) -> BgpPeer:
        return BgpPeer(uid(50), CR1, "", address, 65000)

    def test_a_peer_at_a_neighbors_address_runs_over_that_link(self):
        link_index = LinkIndex.of([link(1, CR1, CR2)])
        rows = resolve_ospf_neighbors(
            [neighbor_row(1, CR1, "2.2.2.2", "10.0.0.2")], link_index, router_ids={"2.2.2.2": CR2}
        )

        (resolved,) = resolve_bgp_peers([self.peer("10.0.0.2")], rows)

        assert (resolved.link_id, resolved.far_device_id) == (uid(101), CR2)

    def test_a_session_between_loopbacks_has_no_link(self):
        (resolved,) = resolve_bgp_peers([self.peer("2.2.2.2")], [], addresses={"2.2.2.2": CR2})

        assert (resolved.link_id, resolved.far_device_id) == (None, CR2)

    def test_an_unknown_address_has_no_far_device(self):
        (resolved,) = resolve_bgp_peers([self.peer("203.0.113.1")], [], addresses={"2.2.2.2": CR2})

        assert (resolved.link_id, resolved.far_device_id) == (None, None)
