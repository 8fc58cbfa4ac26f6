"""Assessing one hypothesis: the symptoms that support it, and what works although it should not. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2
from typing import Any
from uuid import UUID

from apps.core.messages import Message
from apps.incidents.rca.effects import Effects
from apps.incidents.rca.impact_graph import Failed, ImpactGraph, far_end
from apps.incidents.rca.snapshot import PENDING, Symptom
from apps.incidents.rca.weights import (
    AGAINST,
    CHANGED,
    CHANGED_BEFORE,
    COINCIDENCE,
    FOR,
    GRACE,
    NOT_CONFIGURED,
    PENDING_SHARE,
    PRIOR,
    UNEXPLAINED,
)
from apps.topology.graph import DEVICE, INTERFACE, LINK, OSPF_NEIGHBOR, SITE, Ref


@dataclass(frozen=True, slots=True)
class Evidence:
    """One item of evidence: an alert or a sample that supports or contradicts a cause."""

    supports: bool
    code: str
    ref: Ref
    metric: str
    at: datetime
    message: Message
    alert_id: UUID | None = None

    def as_document(self) -> dict[str, Any]:
        return {
            "supports": self.supports,
            "code": self.code,
            "entity_type": self.ref[0],
            "entity_id": str(self.ref[1]),
            "metric": self.metric,
            "at": self.at.isoformat(),
            "message": self.message.as_document(),
            "alert_id": str(self.alert_id) if self.alert_id else None,
        }


@dataclass(frozen=True)
class Assessment:
    """How well a hypothesis fits (one failure or several together): log-odds, what it explains, evidence."""

    candidates: Failed
    score: float
    explained: tuple[Symptom, ...]
    evidence: tuple[Evidence, ...]


INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Period:
    """When the problem was certainly present: from its first symptom to the last bad sample.

    During recovery samples turn good one after the other. A good sample after the last bad one does not contradict the
    failure, it shows the recovery. ``ended`` is null while no sample shows a recovery.
    """

    began: datetime
    ended: datetime | None

    @classmethod
    def of(cls, network: ImpactGraph, symptoms: Iterable[Symptom]) -> "Period":
        rows = list(symptoms)
        began = min(row.since for row in rows)
        if any(row.is_flapping for row in rows):
            # A flapping entity works half of the time: no sample meanwhile contradicts the failure.
            return cls(began, began)
        samples = [row for symptom in rows if (row := network.snapshot.own_sample(symptom))]
        bad = [row.at for row in samples if row.value < 1]
        good = [at for symptom in rows if (at := network.snapshot.recovered_at(symptom))]
        # Samples of the same poll as the last bad one still count.
        ended = max(bad) + INSTANT if bad else min(good) if good else None
        return cls(began, ended)


def assess(
    network: ImpactGraph, candidates: Failed, *, known: Failed, symptoms: Sequence[Symptom]
) -> Assessment | None:
    """Assess a hypothesis, given failures already known. None when it explains none of the symptoms."""
    effects = Effects(network, known | candidates)
    explained = tuple(row for row in symptoms if effects.explains(row))
    if not explained:
        return None
    period = Period.of(network, explained)
    contradicting = [
        item
        for candidate in sorted(candidates)
        for item in _against(network, candidate, known | (candidates - {candidate}), period)
    ]
    may_be_changed = any(row.kind not in NOT_CONFIGURED for row in explained)
    config_changes = [
        item
        for candidate in sorted(candidates)
        if may_be_changed
        for item in _config_changes(network, candidate, period)
    ]
    unexplained_count = len(symptoms) - len(explained)
    score = (
        sum(_prior(network, candidate) for candidate in sorted(candidates))
        - COINCIDENCE * (len(candidates) - 1)
        + _weight_for(explained)
        + (CHANGED if config_changes else 0)
        - _weight_against(contradicting)
        - (UNEXPLAINED * log2(1 + unexplained_count) if unexplained_count else 0)
    )
    evidence = (*(_supporting(row) for row in explained), *config_changes, *contradicting)
    return Assessment(candidates, round(score, 6), explained, evidence)


def _prior(network: ImpactGraph, candidate: Ref) -> float:
    kind, pk = candidate
    if kind == LINK:
        link = network.graph.link_by_id.get(pk)
        if link is not None and network.is_within_site(link):
            return PRIOR["link_within_site"]
    return PRIOR.get(kind, -1.0)


def _weight_for(explained: Iterable[Symptom]) -> float:
    count_by_kind: dict[str, float] = defaultdict(float)
    for row in explained:
        count_by_kind[row.kind] += PENDING_SHARE if row.state == PENDING else 1.0
    return sum(
        FOR.get(kind, FOR["soft"]) * log2(1 + n) for kind, n in sorted(count_by_kind.items())
    )


def _weight_against(evidence: Iterable[Evidence]) -> float:
    count_by_kind: dict[str, int] = defaultdict(int)
    for item in evidence:
        count_by_kind[item.code] += 1
    return sum(AGAINST[code] * log2(1 + n) for code, n in sorted(count_by_kind.items()))


def _supporting(row: Symptom) -> Evidence:
    code = f"{row.kind}_flapping" if row.is_flapping else row.kind
    return Evidence(True, code, row.ref, "", row.since, row.summary, row.alert_id)


def _config_changes(network: ImpactGraph, candidate: Ref, period: Period) -> Iterable[Evidence]:
    """Configuration changes on the candidate's router shortly before the problem began."""
    entity = network.snapshot.entity_of(candidate)
    device_id = network.graph.device_of(entity)
    for change in network.snapshot.changes:
        before = period.began - change.at
        if change.device_id == device_id and timedelta(0) <= before <= CHANGED_BEFORE:
            ref = (DEVICE, change.device_id)
            params = {
                "name": network.graph.label_of(ref),
                "category": change.category,
                "seconds": round(before.total_seconds()),
            }
            message = Message("incidents.evidence.config_changed", params)
            yield Evidence(True, "config_changed", ref, "", change.at, message)


def _against(
    network: ImpactGraph, candidate: Ref, known: Failed, period: Period
) -> Iterable[Evidence]:
    kind, pk = candidate
    if kind == LINK:
        yield from _link_still_works(network, pk, period)
    if kind == DEVICE:
        yield from _device_still_works(network, pk, period)
    if kind == SITE:
        for device_id in network.devices_of_site.get(pk, ()):
            yield from _answers(network, (DEVICE, device_id), "itself_answers", period)
    if kind in {LINK, DEVICE, SITE}:
        yield from _answers_behind(network, candidate, known, period)


def _link_still_works(network: ImpactGraph, link_id: UUID, period: Period) -> Iterable[Evidence]:
    for interface_id in network.interfaces_of_link.get(link_id, ()):
        yield from _works(
            network, (INTERFACE, interface_id), "interface.oper_up", "interface_up", period
        )
    for neighbor_id in network.adjacencies_of_link.get(link_id, ()):
        ref = (OSPF_NEIGHBOR, neighbor_id)
        yield from _works(network, ref, "ospf.neighbor.up", "adjacency_full", period)


def _device_still_works(
    network: ImpactGraph, device_id: UUID, period: Period
) -> Iterable[Evidence]:
    yield from _answers(network, (DEVICE, device_id), "itself_answers", period)
    for link in network.links_of(device_id):
        for interface_id in network.interfaces_of_link.get(link.id, ()):
            port = network.interface_by_id[interface_id]
            if port.device_id == far_end(link, device_id):
                ref = (INTERFACE, interface_id)
                yield from _works(network, ref, "interface.oper_up", "interface_up", period)


def _answers_behind(
    network: ImpactGraph, candidate: Ref, known: Failed, period: Period
) -> Iterable[Evidence]:
    """Routers that still answer although the candidate's failure would have cut them off."""
    lost = network.newly_cut_off(candidate, known)
    # Only probes: the API may be read by an agent that sits behind the failure itself.
    for ref in sorted(lost - {candidate}):
        yield from _works(network, ref, "device.up", "answers_behind", period)


def _answers(network: ImpactGraph, ref: Ref, code: str, period: Period) -> Iterable[Evidence]:
    for metric in ("device.up", "device.api.up"):
        found = list(_works(network, ref, metric, code, period))
        if found:
            yield found[0]
            return


def _works(
    network: ImpactGraph, ref: Ref, metric: str, code: str, period: Period
) -> Iterable[Evidence]:
    after = period.began + GRACE[metric]
    if network.snapshot.works(ref, metric, after=after, before=period.ended):
        row = network.snapshot.sample_of[ref, metric]
        message = Message(_STILL_UP[metric], {"name": network.graph.label_of(ref)})
        yield Evidence(False, code, ref, metric, row.at, message)


_STILL_UP = {
    "device.up": "incidents.evidence.answers_probes",
    "device.api.up": "incidents.evidence.answers_on_api",
    "interface.oper_up": "incidents.evidence.interface_up",
    "ospf.neighbor.up": "incidents.evidence.adjacency_full",
    "bgp.peer.up": "incidents.evidence.bgp_established",
}
