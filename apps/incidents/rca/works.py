"""What still works when some things have failed. Pure.

An entity works if it has not failed and every one of its needs is met: a need is met while enough of its members
work (any, all, k of n). A router also needs a way to a root: a working neighbour over a working link. The answer is
the least fixed point that grows from the roots, so support never runs in a circle: a ring that is cut off from its
roots does not hold itself up, and a ring with one cut loses nothing.

Cost: one pass over nodes and edges per set of roots, with a counter per need (the linear-time algorithm of Dowling and
Gallier for Horn clauses, extended to "k of n"). What a failure takes away is then asked by deleting and re-deriving:
first everything goes whose support, in the order in which it came alive, ran through the failure; then what has other
support comes back. That costs as much as the failure touches, not as much as there is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from copy import copy

from apps.incidents.rca.wiring import Wiring, wire
from apps.topology.graph import Graph, Ref


class Network:
    """A graph, wired once, asked often."""

    def __init__(self, graph: Graph) -> None:
        self._wiring = wire(graph)

    def support(self, roots: Collection[Ref], failed: Collection[Ref] = frozenset()) -> "Support":
        """What works while exactly these have failed.

        ``roots`` are devices that need no way in: where an agent sits (then: what it can reach), or where the
        network meets the world (then: what still has service). Unknown refs are ignored.
        """
        return Support(self._wiring, roots, failed)

    def working(
        self, *, roots: Collection[Ref], failed: Collection[Ref] = frozenset()
    ) -> frozenset[Ref]:
        """Every entity that works, given where life comes from and what has failed."""
        return self.support(roots, failed).alive


class Support:
    """The least fixed point from one set of roots, never changed, ready to be asked what more failures take away."""

    def __init__(self, wiring: Wiring, roots: Collection[Ref], failed: Collection[Ref]) -> None:
        self._wiring = wiring
        broken = {wiring.index[ref] for ref in failed if ref in wiring.index}
        #: Needs that are met whatever happens: the roots' way in.
        self._granted = {
            wiring.way_in[node]
            for root in roots
            if (node := wiring.index.get(root)) in wiring.way_in
        }
        #: When each node came alive; 0: never.
        self._rank = self._grow(broken)
        #: Per need, how many of its members came alive before the one that needs them.
        self._early = self._count_early_members()
        self._newest = max(self._rank, default=0)

    @property
    def alive(self) -> frozenset[Ref]:
        """What works."""
        return frozenset(ref for ref, node in self._wiring.index.items() if self._rank[node])

    def lost(self, failed: Collection[Ref]) -> frozenset[Ref]:
        """What stops working when these fail as well; themselves among it, if they worked."""
        index, refs = self._wiring.index, self._wiring.refs
        broken = {index[ref] for ref in failed if ref in index and self._rank[index[ref]]}
        doubtful = self._without_early_support(broken)
        gone = doubtful.difference(self._supported_otherwise(doubtful, broken))
        return frozenset(ref for node in gone if (ref := refs[node]) is not None)

    def without(self, failed: Collection[Ref]) -> "Support":
        """The same after these have failed as well, at the price of what they touch and not of the whole network.

        What kept its early support keeps its rank; what is held up otherwise came alive after everything else.
        """
        wiring, made = self._wiring, copy(self)
        broken = {wiring.index[ref] for ref in failed if ref in wiring.index}
        doubtful = self._without_early_support({node for node in broken if self._rank[node]})
        made._rank, made._early = list(self._rank), list(self._early)  # noqa: SLF001  # one of us
        made._newest = self._take_over(made._rank, doubtful, broken)  # noqa: SLF001
        for need in {need for node in doubtful for need in wiring.serves[node] + wiring.own[node]}:
            made._early[need] = made._early_members_of(need)  # noqa: SLF001
        return made

    def _take_over(self, rank: list[int], doubtful: set[int], broken: set[int]) -> int:
        """New ranks for what is in doubt; answers the newest."""
        newest = self._newest
        revived = list(self._supported_otherwise(doubtful, broken))
        for node in doubtful:
            rank[node] = 0
        for node in revived:
            newest += 1
            rank[node] = newest
        return newest

    def _grow(self, broken: set[int]) -> list[int]:
        wiring = self._wiring
        rank = [0] * wiring.size
        open_needs = [len(own) for own in wiring.own]
        missing = [count for _, count in wiring.needs]
        for need, (dependent, count) in enumerate(wiring.needs):
            if count == 0 or need in self._granted:
                open_needs[dependent] -= 1
                missing[need] = -1
        alive = [n for n in range(wiring.size) if open_needs[n] == 0 and n not in broken]
        for order, node in enumerate(alive, start=1):  # grows as it goes
            rank[node] = order
            for need in wiring.serves[node]:
                missing[need] -= 1
                if missing[need] == 0:
                    dependent = wiring.needs[need][0]
                    open_needs[dependent] -= 1
                    if open_needs[dependent] == 0 and dependent not in broken:
                        alive.append(dependent)
        return rank

    def _count_early_members(self) -> list[int]:
        return [self._early_members_of(need) for need in range(len(self._wiring.needs))]

    def _early_members_of(self, need: int) -> int:
        rank, (dependent, _) = self._rank, self._wiring.needs[need]
        own, early = rank[dependent], 0
        for member in self._wiring.members[need]:
            if 0 < rank[member] < own:
                early += 1
        return early

    def _without_early_support(self, broken: set[int]) -> set[int]:
        """The broken, and everything that stands on them through support that came before it."""
        wiring, rank = self._wiring, self._rank
        doubtful, spreading = set(broken), list(broken)
        lacking: dict[int, int] = defaultdict(int)
        for node in spreading:  # grows as it goes
            for need in wiring.serves[node]:
                dependent, count = wiring.needs[need]
                if need in self._granted or rank[dependent] < rank[node]:
                    continue
                lacking[need] += 1
                if dependent not in doubtful and self._early[need] - lacking[need] < count:
                    doubtful.add(dependent)
                    spreading.append(dependent)
        return doubtful

    def _supported_otherwise(self, doubtful: set[int], broken: set[int]) -> Iterable[int]:
        """Of the doubtful, those that are held up by what is beyond doubt, and by what that revives."""
        wiring = self._wiring
        missing: dict[int, int] = {}
        open_needs = dict.fromkeys(doubtful - broken, 0)
        for node in open_needs:
            for need in wiring.own[node]:
                lacks = 0 if need in self._granted else self._lacks(need, doubtful)
                if lacks > 0:
                    missing[need] = lacks
                    open_needs[node] += 1
        reviving = [node for node, count in open_needs.items() if count == 0]
        for node in reviving:  # grows as it goes
            for need in wiring.serves[node]:
                if need not in missing:
                    continue
                missing[need] -= 1
                if missing[need] == 0:
                    dependent = wiring.needs[need][0]
                    open_needs[dependent] -= 1
                    if open_needs[dependent] == 0:
                        reviving.append(dependent)
        return reviving

    def _lacks(self, need: int, doubtful: set[int]) -> int:
        """How many members a need lacks if only those beyond doubt count."""
        rank, lacks = self._rank, self._wiring.needs[need][1]
        for member in self._wiring.members[need]:
            if rank[member] and member not in doubtful:
                lacks -= 1
        return lacks
