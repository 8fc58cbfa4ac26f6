"""Which symptoms a set of failures explains. Pure.

Only what follows from the failure: a router behind a cut cannot be reached, but its far interface does not go down
because of that. Effects do not come before their causes.
"""

from uuid import UUID

from apps.incidents.rca.snapshot import POWER, Symptom, own_trouble
from apps.incidents.rca.weights import SPREAD
from apps.incidents.rca.world import NOTHING, Eyes, Failed, World, far_end, link_ref
from apps.topology.graph import AGENT, DEVICE, Link, Ref


class Effects:
    """What follows when exactly these entities have failed."""

    def __init__(self, world: World, failed: Failed) -> None:
        self._world = world
        self._failed = failed
        #: The last place that was asked from, and what cannot be seen from there: most are judged from the same one.
        self._eyes: Eyes | None = None
        self._hidden: tuple[frozenset[Ref], frozenset[Ref]] = (NOTHING, NOTHING)
        self._by_kind = {
            "interface_down": self._takes_interface,
            "adjacency_down": self._takes_adjacency,
            "bgp_down": self._takes_bgp,
            "unreachable": self._hides_device,
            "management_plane": self._hides_api,
            "agent_missing": self._hides_agent,
            "sessions_lost": self._takes_service,
            "power_lost": self._takes_power,
        }

    def explains(self, symptom: Symptom) -> bool:
        """Whether the symptom follows from the failures."""
        if own_trouble(symptom) in self._failed:
            return True
        if symptom.ref in self._failed:
            return True
        takes = self._by_kind.get(symptom.kind)
        return takes is not None and takes(symptom)

    def _takes_interface(self, symptom: Symptom) -> bool:
        port = self._world.interface_by_id.get(symptom.ref[1])
        link = self._world.graph.link_by_id.get(port.link_id) if port and port.link_id else None
        if port is None or link is None:
            return False
        return self._is_cut(link) or self._is_dead(far_end(link, port.device_id), symptom)

    def _takes_adjacency(self, symptom: Symptom) -> bool:
        row = self._world.adjacency_by_id.get(symptom.ref[1])
        if row is None:
            return False
        if row.link_id is not None and link_ref(row.link_id) in self._failed:
            return True
        if row.far_device_id is None:
            return False
        wires = self._world.links_between(row.device_id, row.far_device_id)
        cut = row.link_id is None and bool(wires) and all(self._is_cut(link) for link in wires)
        return cut or self._is_dead(row.far_device_id, symptom)

    def _takes_bgp(self, symptom: Symptom) -> bool:
        row = self._world.bgp_peer_by_id.get(symptom.ref[1])
        if row is None:
            return False
        if row.link_id is not None and link_ref(row.link_id) in self._failed:
            return True
        if row.far_device_id is None:
            return any(self._is_cut(link) for link in self._world.upstreams_of(row.device_id))
        return self._world.parts(row.device_id, row.far_device_id, self._failed)

    def _hides_device(self, symptom: Symptom) -> bool:
        device_id = symptom.ref[1]
        eyes = self._world.eyes_on(device_id)
        if eyes is not self._eyes:
            self._eyes, self._hidden = eyes, self._world.lost_in_two(eyes, self._failed)
        ref, (sunk, more) = (DEVICE, device_id), self._hidden
        return ref in sunk or ref in more

    def _hides_api(self, symptom: Symptom) -> bool:
        """A router that answers probes can be reached: its silent API is its own trouble."""
        return self._hides_device(symptom) and not self._world.snapshot.answers(symptom.ref[1])

    def _hides_agent(self, symptom: Symptom) -> bool:
        return self._world.silences(symptom.ref[1], self._failed)

    def _takes_service(self, symptom: Symptom) -> bool:
        return symptom.ref in self._world.unserved(self._failed)

    def _takes_power(self, symptom: Symptom) -> bool:
        """A site's feed fails for several of its routers at once, on batteries or dark; a supply breaks alone."""
        site = self._world.site_of(symptom.ref[1])
        if site is None or not {site, (POWER, site[1])} & self._failed:
            return False
        return self._world.is_power_lost_together(symptom)

    def _is_cut(self, link: Link) -> bool:
        return link_ref(link.id) in self._failed

    def _is_dead(self, device_id: UUID | None, symptom: Symptom) -> bool:
        """Whether the router itself, or its site, had failed by the time of the symptom."""
        if device_id is None:
            return False
        site = self._world.site_of(device_id)
        if (DEVICE, device_id) not in self._failed and site not in self._failed:
            return False
        silent_since = self._world.snapshot.unreachable_since.get(device_id)
        return silent_since is None or symptom.since >= silent_since - SPREAD


def is_about_visibility(symptom: Symptom) -> bool:
    """Whether the symptom may come from a failure far away, not only next to it."""
    return symptom.kind in {
        "unreachable",
        "management_plane",
        "agent_missing",
        "sessions_lost",
    } or (symptom.ref[0] == AGENT)
