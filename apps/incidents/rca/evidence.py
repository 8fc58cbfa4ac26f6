"""Weighing one suspect: the symptoms that speak for it, and what works although it should not. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2
from typing import Any
from uuid import UUID

from apps.incidents.rca.effects import Effects
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
from apps.incidents.rca.world import Failed, World, far_end
from apps.topology.graph import DEVICE, INTERFACE, LINK, OSPF_NEIGHBOR, SITE, Ref


@dataclass(frozen=True, slots=True)
class Sign:
    """One line of evidence: a stored alert or reading that speaks for or against a cause."""

    speaks_for: bool
    code: str
    ref: Ref
    metric: str
    at: datetime
    text: str
    alert_id: UUID | None = None

    def as_document(self) -> dict[str, Any]:
        return {
            "for": self.speaks_for,
            "code": self.code,
            "entity_type": self.ref[0],
            "entity_id": str(self.ref[1]),
            "metric": self.metric,
            "at": self.at.isoformat(),
            "text": self.text,
            "alert_id": str(self.alert_id) if self.alert_id else None,
        }


@dataclass(frozen=True)
class Judgement:
    """How well a suspicion fits (one entity, or several that failed together): log-odds, what it explains, why."""

    suspects: Failed
    score: float
    explained: tuple[Symptom, ...]
    signs: tuple[Sign, ...]


INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Period:
    """While the trouble was surely there: from its first symptom to the last bad reading.

    When it ends, one thing after the other is read well again. What is read well after the last bad reading does not
    contradict the failure, it tells of its end. Null: nothing says that it has begun to end.
    """

    began: datetime
    ended: datetime | None

    @classmethod
    def of(cls, world: World, symptoms: Iterable[Symptom]) -> "Period":
        rows = list(symptoms)
        began = min(row.since for row in rows)
        if any(row.is_flapping for row in rows):
            # What comes and goes works half of the time: nothing read meanwhile contradicts it.
            return cls(began, began)
        readings = [row for symptom in rows if (row := world.snapshot.own_reading(symptom))]
        bad = [row.at for row in readings if row.value < 1]
        well = [at for symptom in rows if (at := world.snapshot.mended_at(symptom))]
        # What one poll read together with the last bad reading still counts.
        ended = max(bad) + INSTANT if bad else min(well) if well else None
        return cls(began, ended)


def judge(
    world: World, suspects: Failed, *, known: Failed, symptoms: Sequence[Symptom]
) -> Judgement | None:
    """Weigh a suspicion, given failures already known. None when it explains none of the symptoms."""
    effects = Effects(world, known | suspects)
    explained = tuple(row for row in symptoms if effects.explains(row))
    if not explained:
        return None
    period = Period.of(world, explained)
    against = [
        sign
        for suspect in sorted(suspects)
        for sign in _against(world, suspect, known | (suspects - {suspect}), period)
    ]
    may_be_changed = any(row.kind not in NOT_CONFIGURED for row in explained)
    changed = [
        sign
        for suspect in sorted(suspects)
        if may_be_changed
        for sign in _changed(world, suspect, period)
    ]
    left = len(symptoms) - len(explained)
    score = (
        sum(_prior(world, suspect) for suspect in sorted(suspects))
        - COINCIDENCE * (len(suspects) - 1)
        + _worth_of(explained)
        + (CHANGED if changed else 0)
        - _weight_against(against)
        - (UNEXPLAINED * log2(1 + left) if left else 0)
    )
    signs = (*(_speaking_for(row) for row in explained), *changed, *against)
    return Judgement(suspects, round(score, 6), explained, signs)


def _prior(world: World, suspect: Ref) -> float:
    kind, pk = suspect
    if kind == LINK:
        link = world.graph.link_by_id.get(pk)
        if link is not None and world.is_within_site(link):
            return PRIOR["link_within_site"]
    return PRIOR.get(kind, -1.0)


def _worth_of(explained: Iterable[Symptom]) -> float:
    counted: dict[str, float] = defaultdict(float)
    for row in explained:
        counted[row.kind] += PENDING_SHARE if row.state == PENDING else 1.0
    return sum(FOR.get(kind, FOR["soft"]) * log2(1 + n) for kind, n in sorted(counted.items()))


def _weight_against(signs: Iterable[Sign]) -> float:
    counted: dict[str, int] = defaultdict(int)
    for sign in signs:
        counted[sign.code] += 1
    return sum(AGAINST[code] * log2(1 + n) for code, n in sorted(counted.items()))


def _speaking_for(row: Symptom) -> Sign:
    code = f"{row.kind}_flapping" if row.is_flapping else row.kind
    return Sign(True, code, row.ref, "", row.since, row.summary, row.alert_id)


def _changed(world: World, suspect: Ref, period: Period) -> Iterable[Sign]:
    """Work on the suspect's router shortly before its trouble began."""
    entity = world.snapshot.entity_of(suspect)
    device_id = world.graph.device_of(entity)
    for change in world.snapshot.changes:
        before = period.began - change.at
        if change.device_id == device_id and timedelta(0) <= before <= CHANGED_BEFORE:
            ref = (DEVICE, change.device_id)
            name = world.graph.label_of(ref)
            text = (
                f"Configuration of {name} ({change.category}) changed"
                f" {before.total_seconds():.0f} s before"
            )
            yield Sign(True, "config_changed", ref, "", change.at, text)


def _against(world: World, suspect: Ref, known: Failed, period: Period) -> Iterable[Sign]:
    kind, pk = suspect
    if kind == LINK:
        yield from _link_still_works(world, pk, period)
    if kind == DEVICE:
        yield from _device_still_works(world, pk, period)
    if kind == SITE:
        for device_id in world.devices_of_site.get(pk, ()):
            yield from _answers(world, (DEVICE, device_id), "itself_answers", period)
    if kind in {LINK, DEVICE, SITE}:
        yield from _answers_behind(world, suspect, known, period)


def _link_still_works(world: World, link_id: UUID, period: Period) -> Iterable[Sign]:
    for interface_id in world.interfaces_of_link.get(link_id, ()):
        yield from _works(
            world, (INTERFACE, interface_id), "interface.oper_up", "interface_up", period
        )
    for neighbor_id in world.adjacencies_of_link.get(link_id, ()):
        ref = (OSPF_NEIGHBOR, neighbor_id)
        yield from _works(world, ref, "ospf.neighbor.up", "adjacency_full", period)


def _device_still_works(world: World, device_id: UUID, period: Period) -> Iterable[Sign]:
    yield from _answers(world, (DEVICE, device_id), "itself_answers", period)
    for link in world.links_of(device_id):
        for interface_id in world.interfaces_of_link.get(link.id, ()):
            port = world.interface_by_id[interface_id]
            if port.device_id == far_end(link, device_id):
                ref = (INTERFACE, interface_id)
                yield from _works(world, ref, "interface.oper_up", "interface_up", period)


def _answers_behind(world: World, suspect: Ref, known: Failed, period: Period) -> Iterable[Sign]:
    """Routers that still answer although the suspect's failure would have cut them off."""
    lost = world.newly_hidden(suspect, known)
    # Only probes: the API may be read by an agent that sits behind the failure itself.
    for ref in sorted(lost - {suspect}):
        yield from _works(world, ref, "device.up", "answers_behind", period)


def _answers(world: World, ref: Ref, code: str, period: Period) -> Iterable[Sign]:
    for metric in ("device.up", "device.api.up"):
        found = list(_works(world, ref, metric, code, period))
        if found:
            yield found[0]
            return


def _works(world: World, ref: Ref, metric: str, code: str, period: Period) -> Iterable[Sign]:
    after = period.began + GRACE[metric]
    if world.snapshot.works(ref, metric, after=after, before=period.ended):
        row = world.snapshot.reading_of[ref, metric]
        text = _WORDS[metric].format(name=world.graph.label_of(ref))
        yield Sign(False, code, ref, metric, row.at, text)


_WORDS = {
    "device.up": "{name} still answers probes",
    "device.api.up": "{name} still answers on its API",
    "interface.oper_up": "{name} is still up",
    "ospf.neighbor.up": "The OSPF adjacency {name} is still Full",
    "bgp.peer.up": "The BGP session {name} is still Established",
}
