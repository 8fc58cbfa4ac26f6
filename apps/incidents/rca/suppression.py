"""Suppression of alerts that are consequences of a cause. Pure.

An alert is suppressed only if its entity cannot work given the causes. Root-cause alerts are never suppressed: alerts
on the failed entity itself and on the ports of a failed link.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.core.messages import Message
from apps.incidents.rca.effects import Effects
from apps.incidents.rca.impact_graph import Failed, ImpactGraph
from apps.incidents.rca.snapshot import POWER, Symptom, own_problem
from apps.topology.graph import AGENT, INTERFACE, LINK, Ref


@dataclass(frozen=True, slots=True)
class Suppression:
    """One suppressed alert: its cause, the dependency, the time."""

    alert_id: UUID
    by: Ref
    reason: Message
    since: datetime

    def as_document(self) -> dict[str, Any]:
        return {
            "alert_id": str(self.alert_id),
            "by": [self.by[0], str(self.by[1])],
            "reason": self.reason.as_document(),
            "since": self.since.isoformat(),
        }


def suppressions(
    network: ImpactGraph, causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...]
) -> tuple[Suppression, ...]:
    """Every symptom that follows from the causes and is no root-cause alert, by alert."""
    failed = frozenset(causes)
    effects = Effects(network, failed)
    found = []
    for row in symptoms:
        if is_root_cause_alert(network, failed, row) or not effects.explains(row):
            continue
        by = _suppressing_cause(network, causes, row)
        found.append(Suppression(row.alert_id, by, _reason(network, by, row), row.since))
    return tuple(sorted(found, key=lambda row: row.alert_id))


def is_root_cause_alert(network: ImpactGraph, failed: Failed, symptom: Symptom) -> bool:
    """Whether this alert is about a cause itself."""
    if symptom.ref in failed or own_problem(symptom) in failed:
        return True
    if (
        symptom.kind == "power_lost"
    ):  # a site's power is observed only through its routers' supplies
        site = network.site_of(symptom.ref[1])
        return site is not None and (site in failed or (POWER, site[1]) in failed)
    if symptom.ref[0] != INTERFACE:
        return False
    port = network.interface_by_id.get(symptom.ref[1])
    return port is not None and port.link_id is not None and (LINK, port.link_id) in failed


def _suppressing_cause(network: ImpactGraph, causes: tuple[Ref, ...], symptom: Symptom) -> Ref:
    """The cause that alone explains it, else the first of those that do so together."""
    for cause in causes:
        if Effects(network, frozenset({cause})).explains(symptom):
            return cause
    return causes[0]


_REASONS = {
    "unreachable": "incidents.suppression.unreachable",
    "management_plane": "incidents.suppression.unreachable",
    "adjacency_down": "incidents.suppression.adjacency",
    "bgp_down": "incidents.suppression.bgp_session",
    "sessions_lost": "incidents.suppression.subscribers",
}


def _reason(network: ImpactGraph, by: Ref, symptom: Symptom) -> Message:
    code = _REASONS.get(symptom.kind, "incidents.suppression.dependency")
    if symptom.ref[0] == AGENT:
        code = "incidents.suppression.agent"
    return Message(code, {"cause": network.graph.label_of(by)})
