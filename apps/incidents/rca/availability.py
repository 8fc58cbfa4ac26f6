"""Which entities still work when some have failed. Pure.

An entity works if it has not failed and every one of its needs is met: a need is met while enough of its members
work (any, all, k of n). A router also needs a path to a root: a working neighbor over a working link. The result is
the least fixed point that grows from the roots, so support never runs in a circle: a ring that is cut off from its
roots does not support itself, and a ring with one cut loses nothing.

Cost: one pass over nodes and edges per set of roots, with a counter per need (the linear-time algorithm of Dowling and
Gallier for Horn clauses, extended to "k of n"). What a failure removes is then computed by delete and re-derive:
first everything goes whose support, in the order in which it came alive, ran through the failure; then what has other
support comes back. The cost depends on what the failure touches, not on the size of the network.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from copy import copy

from apps.incidents.rca.dependency_graph import DependencyGraph, build_dependency_graph
from apps.topology.graph import Graph, Ref


class Network:
    """A graph with its dependencies built once, for many queries."""

    def __init__(self, graph: Graph) -> None:
        self._dependencies = build_dependency_graph(graph)

    def support(self, roots: Collection[Ref], failed: Collection[Ref] = frozenset()) -> "Support":
        """What works while exactly these have failed.

        ``roots`` are devices that need no uplink: the agent's device (result: what it can reach), or the border
        routers (result: what still has service). Unknown refs are ignored.
        """
        return Support(self._dependencies, roots, failed)

    def working(
        self, *, roots: Collection[Ref], failed: Collection[Ref] = frozenset()
    ) -> frozenset[Ref]:
        """Every entity that works, given the roots and what has failed."""
        return self.support(roots, failed).alive


class Support:
    """The least fixed point from one set of roots, immutable; answers what further failures remove."""

    def __init__(
        self, dependencies: DependencyGraph, roots: Collection[Ref], failed: Collection[Ref]
    ) -> None:
        self._dependencies = dependencies
        broken = {dependencies.index[ref] for ref in failed if ref in dependencies.index}
        #: Needs that are always met: the uplinks of the roots.
        self._granted = {
            dependencies.way_in[node]
            for root in roots
            if (node := dependencies.index.get(root)) in dependencies.way_in
        }
        #: When each node came alive; 0: never.
        self._rank = self._grow(broken)
        #: Per need, how many of its members came alive before the one that needs them.
        self._early = self._count_early_members()
        self._newest = max(self._rank, default=0)

    @property
    def alive(self) -> frozenset[Ref]:
        """What works."""
        return frozenset(ref for ref, node in self._dependencies.index.items() if self._rank[node])

    def lost(self, failed: Collection[Ref]) -> frozenset[Ref]:
        """What stops working when these fail as well; themselves among it, if they worked."""
        index, refs = self._dependencies.index, self._dependencies.refs
        broken = {index[ref] for ref in failed if ref in index and self._rank[index[ref]]}
        doubtful = self._without_early_support(broken)
        gone = doubtful.difference(self._supported_otherwise(doubtful, broken))
        return frozenset(ref for node in gone if (ref := refs[node]) is not None)

    def without(self, failed: Collection[Ref]) -> "Support":
        """The same after these have failed as well; the cost depends on what they touch, not on the whole network.

        What still has its early support keeps its rank; what has other support ranks after everything else.
        """
        dependencies, derived = self._dependencies, copy(self)
        broken = {dependencies.index[ref] for ref in failed if ref in dependencies.index}
        doubtful = self._without_early_support({node for node in broken if self._rank[node]})
        derived._rank, derived._early = list(self._rank), list(self._early)  # noqa: SLF001  # one of us
        derived._newest = self._take_over(derived._rank, doubtful, broken)  # noqa: SLF001
        for need in {
            need for node in doubtful for need in dependencies.serves[node] + dependencies.own[node]
        }:
            derived._early[need] = derived._early_members_of(need)  # noqa: SLF001
        return derived

    def _take_over(self, rank: list[int], doubtful: set[int], broken: set[int]) -> int:
        """Assign new ranks to the doubtful nodes; returns the newest."""
        newest = self._newest
        revived = list(self._supported_otherwise(doubtful, broken))
        for node in doubtful:
            rank[node] = 0
        for node in revived:
            newest += 1
            rank[node] = newest
        return newest

    def _grow(self, broken: set[int]) -> list[int]:
        dependencies = self._dependencies
        rank = [0] * dependencies.size
        open_needs = [len(own) for own in dependencies.own]
        missing = [count for _, count in dependencies.needs]
        for need, (dependent, count) in enumerate(dependencies.needs):
            if count == 0 or need in self._granted:
                open_needs[dependent] -= 1
                missing[need] = -1
        alive = [n for n in range(dependencies.size) if open_needs[n] == 0 and n not in broken]
        for order, node in enumerate(alive, start=1):  # grows as it goes
            rank[node] = order
            for need in dependencies.serves[node]:
                missing[need] -= 1
                if missing[need] == 0:
                    dependent = dependencies.needs[need][0]
                    open_needs[dependent] -= 1
                    if open_needs[dependent] == 0 and dependent not in broken:
                        alive.append(dependent)
        return rank

    def _count_early_members(self) -> list[int]:
        return [self._early_members_of(need) for need in range(len(self._dependencies.needs))]

    def _early_members_of(self, need: int) -> int:
        rank, (dependent, _) = self._rank, self._dependencies.needs[need]
        own, early = rank[dependent], 0
        for member in self._dependencies.members[need]:
            if 0 < rank[member] < own:
                early += 1
        return early

    def _without_early_support(self, broken: set[int]) -> set[int]:
        """The broken nodes, and all that depend on them through support that ranks before them."""
        dependencies, rank = self._dependencies, self._rank
        doubtful, spreading = set(broken), list(broken)
        lacking: dict[int, int] = defaultdict(int)
        for node in spreading:  # grows as it goes
            for need in dependencies.serves[node]:
                dependent, count = dependencies.needs[need]
                if need in self._granted or rank[dependent] < rank[node]:
                    continue
                lacking[need] += 1
                if dependent not in doubtful and self._early[need] - lacking[need] < count:
                    doubtful.add(dependent)
                    spreading.append(dependent)
        return doubtful

    def _supported_otherwise(self, doubtful: set[int], broken: set[int]) -> Iterable[int]:
        """The doubtful nodes that still have support from others, directly or through revived nodes."""
        dependencies = self._dependencies
        missing: dict[int, int] = {}
        open_needs = dict.fromkeys(doubtful - broken, 0)
        for node in open_needs:
            for need in dependencies.own[node]:
                lacks = 0 if need in self._granted else self._lacks(need, doubtful)
                if lacks > 0:
                    missing[need] = lacks
                    open_needs[node] += 1
        reviving = [node for node, count in open_needs.items() if count == 0]
        for node in reviving:  # grows as it goes
            for need in dependencies.serves[node]:
                if need not in missing:
                    continue
                missing[need] -= 1
                if missing[need] == 0:
                    dependent = dependencies.needs[need][0]
                    open_needs[dependent] -= 1
                    if open_needs[dependent] == 0:
                        reviving.append(dependent)
        return reviving

    def _lacks(self, need: int, doubtful: set[int]) -> int:
        """How many members a need lacks if doubtful ones do not count."""
        rank, lacks = self._rank, self._dependencies.needs[need][1]
        for member in self._dependencies.members[need]:
            if rank[member] and member not in doubtful:
                lacks -= 1
        return lacks
