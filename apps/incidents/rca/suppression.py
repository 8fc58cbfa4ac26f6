"""Which alerts are consequences, and of what. Pure.

An alert is suppressed only if its entity cannot work given the causes. The causes' own voice is never hidden: alerts
on the failed entity itself and on the ports of a failed link.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.incidents.rca.effects import Effects
from apps.incidents.rca.snapshot import POWER, Symptom, own_trouble
from apps.incidents.rca.world import Failed, World
from apps.topology.graph import AGENT, INTERFACE, LINK, Ref


@dataclass(frozen=True, slots=True)
class Suppression:
    """One alert held back: by what, through which dependency, since when."""

    alert_id: UUID
    by: Ref
    reason: str
    since: datetime

    def as_document(self) -> dict[str, Any]:
        return {
            "alert_id": str(self.alert_id),
            "by": [self.by[0], str(self.by[1])],
            "reason": self.reason,
            "since": self.since.isoformat(),
        }


def suppressions(
    world: World, causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...]
) -> tuple[Suppression, ...]:
    """Every symptom that follows from the causes and is not their own voice, by alert."""
    failed = frozenset(causes)
    effects = Effects(world, failed)
    found = []
    for row in symptoms:
        if is_voice_of_root(world, failed, row) or not effects.explains(row):
            continue
        by = _by(world, causes, row)
        found.append(Suppression(row.alert_id, by, _reason(world, by, row), row.since))
    return tuple(sorted(found, key=lambda row: row.alert_id))


def is_voice_of_root(world: World, failed: Failed, symptom: Symptom) -> bool:
    """Whether this alert is how a cause itself speaks."""
    if symptom.ref in failed or own_trouble(symptom) in failed:
        return True
    if symptom.kind == "power_lost":  # a site has no voice of its own but its routers' supplies
        site = world.site_of(symptom.ref[1])
        return site is not None and (site in failed or (POWER, site[1]) in failed)
    if symptom.ref[0] != INTERFACE:
        return False
    port = world.interface_by_id.get(symptom.ref[1])
    return port is not None and port.link_id is not None and (LINK, port.link_id) in failed


def _by(world: World, causes: tuple[Ref, ...], symptom: Symptom) -> Ref:
    """The cause that alone explains it, else the first of those that do so together."""
    for cause in causes:
        if Effects(world, frozenset({cause})).explains(symptom):
            return cause
    return causes[0]


def _reason(world: World, by: Ref, symptom: Symptom) -> str:
    cause = world.graph.label_of(by)
    kind = symptom.kind
    if symptom.ref[0] == AGENT:
        return f"Sits behind {cause}: it cannot reach us, its region is blind"
    if kind in {"unreachable", "management_plane"}:
        return f"No way to it is left but over {cause}"
    if kind == "adjacency_down":
        return f"The adjacency runs over {cause}"
    if kind == "bgp_down":
        return f"The session has no path without {cause}"
    if kind == "sessions_lost":
        return f"Its subscribers reach the network over {cause}"
    return f"Cannot work without {cause}"
