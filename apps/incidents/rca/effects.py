"""Which symptoms a set of failures explains. Pure.

Only what follows from the failure: a router behind a cut cannot be reached, but its far interface does not go down
because of that. Effects do not come before their causes.
"""

from uuid import UUID

from apps.incidents.rca.impact_graph import (
    NO_FAILURES,
    Failed,
    ImpactGraph,
    Observers,
    far_end,
    link_ref,
)
from apps.incidents.rca.snapshot import POWER, Symptom, own_problem
from apps.incidents.rca.weights import POLLING_SPREAD
from apps.topology.graph import AGENT, DEVICE, Link, Ref


class Effects:
    """What follows when exactly these entities have failed."""

    def __init__(self, network: ImpactGraph, failed: Failed) -> None:
        self._network = network
        self._failed = failed
        #: Cache of the last observers and what they cannot reach: most devices have the same observers.
        self._observers: Observers | None = None
        self._unreachable: tuple[frozenset[Ref], frozenset[Ref]] = (NO_FAILURES, NO_FAILURES)
        self._by_kind = {
            "interface_down": self._explains_interface,
            "adjacency_down": self._explains_adjacency,
            "bgp_down": self._explains_bgp,
            "unreachable": self._explains_unreachable,
            "management_plane": self._explains_api,
            "agent_missing": self._explains_agent,
            "sessions_lost": self._explains_service,
            "power_lost": self._explains_power,
        }

    def explains(self, symptom: Symptom) -> bool:
        """Whether the symptom follows from the failures."""
        if own_problem(symptom) in self._failed:
            return True
        if symptom.ref in self._failed:
            return True
        explains = self._by_kind.get(symptom.kind)
        return explains is not None and explains(symptom)

    def _explains_interface(self, symptom: Symptom) -> bool:
        port = self._network.interface_by_id.get(symptom.ref[1])
        link = self._network.graph.link_by_id.get(port.link_id) if port and port.link_id else None
        if port is None or link is None:
            return False
        return self._is_cut(link) or self._is_dead(far_end(link, port.device_id), symptom)

    def _explains_adjacency(self, symptom: Symptom) -> bool:
        row = self._network.adjacency_by_id.get(symptom.ref[1])
        if row is None:
            return False
        if row.link_id is not None and link_ref(row.link_id) in self._failed:
            return True
        if row.far_device_id is None:
            return False
        links = self._network.links_between(row.device_id, row.far_device_id)
        cut = row.link_id is None and bool(links) and all(self._is_cut(link) for link in links)
        return cut or self._is_dead(row.far_device_id, symptom)

    def _explains_bgp(self, symptom: Symptom) -> bool:
        row = self._network.bgp_peer_by_id.get(symptom.ref[1])
        if row is None:
            return False
        if row.link_id is not None and link_ref(row.link_id) in self._failed:
            return True
        if row.far_device_id is None:
            return any(self._is_cut(link) for link in self._network.upstreams_of(row.device_id))
        return self._network.separates(row.device_id, row.far_device_id, self._failed)

    def _explains_unreachable(self, symptom: Symptom) -> bool:
        device_id = symptom.ref[1]
        observers = self._network.observers_of(device_id)
        if observers is not self._observers:
            self._observers, self._unreachable = (
                observers,
                self._network.lost_by_baseline(observers, self._failed),
            )
        ref, (already_lost, newly_lost) = (DEVICE, device_id), self._unreachable
        return ref in already_lost or ref in newly_lost

    def _explains_api(self, symptom: Symptom) -> bool:
        """A router that answers probes is reachable: that its API does not respond is its own problem."""
        return self._explains_unreachable(symptom) and not self._network.snapshot.answers(
            symptom.ref[1]
        )

    def _explains_agent(self, symptom: Symptom) -> bool:
        return self._network.cuts_off_agent(symptom.ref[1], self._failed)

    def _explains_service(self, symptom: Symptom) -> bool:
        return symptom.ref in self._network.without_service(self._failed)

    def _explains_power(self, symptom: Symptom) -> bool:
        """A site's power feed fails for several of its routers at once; a single supply fails alone."""
        site = self._network.site_of(symptom.ref[1])
        if site is None or not {site, (POWER, site[1])} & self._failed:
            return False
        return self._network.is_power_lost_together(symptom)

    def _is_cut(self, link: Link) -> bool:
        return link_ref(link.id) in self._failed

    def _is_dead(self, device_id: UUID | None, symptom: Symptom) -> bool:
        """Whether the router itself, or its site, had failed by the time of the symptom."""
        if device_id is None:
            return False
        site = self._network.site_of(device_id)
        if (DEVICE, device_id) not in self._failed and site not in self._failed:
            return False
        unreachable_since = self._network.snapshot.unreachable_since.get(device_id)
        return unreachable_since is None or symptom.since >= unreachable_since - POLLING_SPREAD


def is_about_visibility(symptom: Symptom) -> bool:
    """Whether the symptom may come from a failure far away, not only next to it."""
    return symptom.kind in {
        "unreachable",
        "management_plane",
        "agent_missing",
        "sessions_lost",
    } or (symptom.ref[0] == AGENT)
