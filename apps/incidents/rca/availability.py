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
        failed_nodes = {dependencies.index[ref] for ref in failed if ref in dependencies.index}
        #: Needs that are always met: the uplinks of the roots.
        self._always_met = {
            dependencies.uplink_need[node]
            for root in roots
            if (node := dependencies.index.get(root)) in dependencies.uplink_need
        }
        #: Position of each node in the order of activation; 0: never active.
        self._activation = self._activate(failed_nodes)
        #: Per need, how many of its members were active before the node that needs them.
        self._early = self._count_early_members()
        self._last_position = max(self._activation, default=0)

    @property
    def alive(self) -> frozenset[Ref]:
        """What works."""
        return frozenset(
            ref for ref, node in self._dependencies.index.items() if self._activation[node]
        )

    def lost(self, failed: Collection[Ref]) -> frozenset[Ref]:
        """What stops working when these fail as well; themselves among it, if they worked."""
        index, refs = self._dependencies.index, self._dependencies.refs
        failed_nodes = {
            index[ref] for ref in failed if ref in index and self._activation[index[ref]]
        }
        doubtful = self._without_early_support(failed_nodes)
        removed = doubtful.difference(self._restored_by_other_support(doubtful, failed_nodes))
        return frozenset(ref for node in removed if (ref := refs[node]) is not None)

    def without(self, failed: Collection[Ref]) -> "Support":
        """The same after these have failed as well; the cost depends on what they touch, not on the whole network.

        What still has its early support keeps its position in the activation order; what has other support comes last.
        """
        dependencies, derived = self._dependencies, copy(self)
        failed_nodes = {dependencies.index[ref] for ref in failed if ref in dependencies.index}
        doubtful = self._without_early_support(
            {node for node in failed_nodes if self._activation[node]}
        )
        derived._activation, derived._early = list(self._activation), list(self._early)  # noqa: SLF001  # same class
        derived._last_position = self._reorder(derived._activation, doubtful, failed_nodes)  # noqa: SLF001
        for need in {
            need for node in doubtful for need in dependencies.serves[node] + dependencies.own[node]
        }:
            derived._early[need] = derived._early_members_of(need)  # noqa: SLF001
        return derived

    def _reorder(self, activation: list[int], doubtful: set[int], failed_nodes: set[int]) -> int:
        """Assign new positions to the doubtful nodes; returns the last one."""
        last_position = self._last_position
        restored = list(self._restored_by_other_support(doubtful, failed_nodes))
        for node in doubtful:
            activation[node] = 0
        for node in restored:
            last_position += 1
            activation[node] = last_position
        return last_position

    def _activate(self, failed_nodes: set[int]) -> list[int]:
        dependencies = self._dependencies
        activation = [0] * dependencies.size
        open_needs = [len(own) for own in dependencies.own]
        missing = [count for _, count in dependencies.needs]
        for need, (dependent, count) in enumerate(dependencies.needs):
            if count == 0 or need in self._always_met:
                open_needs[dependent] -= 1
                missing[need] = -1
        alive = [
            n for n in range(dependencies.size) if open_needs[n] == 0 and n not in failed_nodes
        ]
        for position, node in enumerate(alive, start=1):  # grows as it goes
            activation[node] = position
            for need in dependencies.serves[node]:
                missing[need] -= 1
                if missing[need] == 0:
                    dependent = dependencies.needs[need][0]
                    open_needs[dependent] -= 1
                    if open_needs[dependent] == 0 and dependent not in failed_nodes:
                        alive.append(dependent)
        return activation

    def _count_early_members(self) -> list[int]:
        return [self._early_members_of(need) for need in range(len(self._dependencies.needs))]

    def _early_members_of(self, need: int) -> int:
        activation, (dependent, _) = self._activation, self._dependencies.needs[need]
        own, early = activation[dependent], 0
        for member in self._dependencies.members[need]:
            if 0 < activation[member] < own:
                early += 1
        return early

    def _without_early_support(self, failed_nodes: set[int]) -> set[int]:
        """The failed nodes, and all that depend on them through support that was active before them."""
        dependencies, activation = self._dependencies, self._activation
        doubtful, queue = set(failed_nodes), list(failed_nodes)
        removed_members: dict[int, int] = defaultdict(int)
        for node in queue:  # grows as it goes
            for need in dependencies.serves[node]:
                dependent, count = dependencies.needs[need]
                if need in self._always_met or activation[dependent] < activation[node]:
                    continue
                removed_members[need] += 1
                if dependent not in doubtful and self._early[need] - removed_members[need] < count:
                    doubtful.add(dependent)
                    queue.append(dependent)
        return doubtful

    def _restored_by_other_support(
        self, doubtful: set[int], failed_nodes: set[int]
    ) -> Iterable[int]:
        """The doubtful nodes that still have support from others, directly or through restored nodes."""
        dependencies = self._dependencies
        missing: dict[int, int] = {}
        open_needs = dict.fromkeys(doubtful - failed_nodes, 0)
        for node in open_needs:
            for need in dependencies.own[node]:
                missing_count = (
                    0 if need in self._always_met else self._missing_members(need, doubtful)
                )
                if missing_count > 0:
                    missing[need] = missing_count
                    open_needs[node] += 1
        restored = [node for node, count in open_needs.items() if count == 0]
        for node in restored:  # grows as it goes
            for need in dependencies.serves[node]:
                if need not in missing:
                    continue
                missing[need] -= 1
                if missing[need] == 0:
                    dependent = dependencies.needs[need][0]
                    open_needs[dependent] -= 1
                    if open_needs[dependent] == 0:
                        restored.append(dependent)
        return restored

    def _missing_members(self, need: int, doubtful: set[int]) -> int:
        """How many members a need lacks if doubtful ones do not count."""
        activation, missing_count = self._activation, self._dependencies.needs[need][1]
        for member in self._dependencies.members[need]:
            if activation[member] and member not in doubtful:
                missing_count -= 1
        return missing_count
