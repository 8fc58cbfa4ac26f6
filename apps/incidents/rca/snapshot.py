"""Everything a verdict is made of, as one immutable value: read once, kept with the verdict, replayed for ever.

Pure: no ORM, no clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self
from uuid import UUID

from apps.topology.graph import DEVICE, SITE, Graph, Ref

PENDING, FIRING = "pending", "firing"
#: As the type of a suspect: not an entity that failed, but the trouble that one alert tells of.
SYMPTOM = "symptom"
#: The same for a whole site: its mains are gone and its routers still run, on batteries.
POWER = "power"

#: The readings that say of something that it works (1) or not (0).
VITAL_METRICS = (
    "device.up",
    "device.api.up",
    "interface.oper_up",
    "ospf.neighbor.up",
    "bgp.peer.up",
)

#: The reading that an alert of this kind was raised on.
OWN_METRIC = {
    "unreachable": "device.up",
    "management_plane": "device.api.up",
    "interface_down": "interface.oper_up",
    "adjacency_down": "ospf.neighbor.up",
    "bgp_down": "bgp.peer.up",
}
#: Symptoms that are seen from outside: they go on being read when their router is cut off.
FROM_OUTSIDE = frozenset({"unreachable", "management_plane"})

#: A reading older than this says nothing about now.
FRESH = timedelta(seconds=90)
#: Agents speak every 10 s; one that was heard within this time is certainly there.
JUST_NOW = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Symptom:
    """An alert as correlation sees it: what is wrong with whom, since when, and whether it is over."""

    alert_id: UUID
    rule: str
    kind: str
    ref: Ref
    state: str
    severity: str
    since: datetime
    fired_at: datetime | None
    # When the first good reading after the trouble was seen; null while it lasts.
    clear_since: datetime | None
    summary: str
    # It comes and goes: that it is well just now says nothing.
    is_flapping: bool = False


#: Troubles of a router that goes on working: nothing behind it suffers, so they are no failures of the network.
OWN_TROUBLES = frozenset({"management_plane", "power_lost", "soft"})


def own_trouble(symptom: Symptom) -> Ref:
    """What an alert points at when the trouble is its entity's own and takes nothing else away."""
    return (SYMPTOM, symptom.alert_id)


@dataclass(frozen=True, slots=True)
class AgentPulse:
    """When an agent was last heard of, and whether it still counts as alive by the plain rule of missed heartbeats."""

    id: UUID
    last_heartbeat_at: datetime | None
    is_alive: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest value of a vital metric: 1 works, 0 does not."""

    ref: Ref
    metric: str
    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """Somebody changed a router's configuration; seen at ``at``, made a little earlier."""

    device_id: UUID
    at: datetime
    category: str


@dataclass(frozen=True)
class Snapshot:
    """One moment of a tenant's network. ``make`` puts it in canonical order."""

    at: datetime
    graph: Graph
    alive_agents: frozenset[UUID]
    symptoms: tuple[Symptom, ...]
    readings: tuple[Reading, ...]
    changes: tuple[ConfigChange, ...] = ()

    @classmethod
    def make(
        cls,
        *,
        at: datetime,
        graph: Graph,
        alive_agents: frozenset[UUID],
        symptoms: list[Symptom],
        readings: list[Reading],
        changes: Iterable[ConfigChange] = (),
    ) -> Self:
        """A snapshot whose content does not depend on the order in which its parts arrived.

        Of two episodes of one alert the later one counts.
        """
        newest: dict[tuple[str, Ref], Symptom] = {}
        for symptom in sorted(symptoms, key=lambda s: (s.since, s.alert_id)):
            newest[symptom.rule, symptom.ref] = symptom
        return cls(
            at=at,
            graph=graph,
            alive_agents=alive_agents,
            symptoms=tuple(sorted(newest.values(), key=lambda s: s.alert_id)),
            readings=tuple(sorted(readings, key=lambda r: (r.ref, r.metric))),
            changes=tuple(sorted(set(changes), key=lambda c: (c.at, c.device_id, c.category))),
        )

    @cached_property
    def reading_of(self) -> Mapping[tuple[Ref, str], Reading]:
        return {(row.ref, row.metric): row for row in self.readings}

    @cached_property
    def _symptom_by_alert(self) -> Mapping[UUID, Symptom]:
        return {row.alert_id: row for row in self.symptoms}

    def entity_of(self, suspect: Ref) -> Ref:
        """The entity that a suspect is, or whose trouble it is."""
        if suspect[0] == POWER:
            return (SITE, suspect[1])
        return self._symptom_by_alert[suspect[1]].ref if suspect[0] == SYMPTOM else suspect

    @cached_property
    def unreachable_since(self) -> Mapping[UUID, datetime]:
        """Since when each device that answers no probe has been silent."""
        return {s.ref[1]: s.since for s in self.symptoms if s.kind == "unreachable"}

    def own_reading(self, symptom: Symptom) -> Reading | None:
        """The newest value of what the symptom was raised on; None when it is not read, or cannot be any more because
        its router is cut off."""
        metric = OWN_METRIC.get(symptom.kind, "")
        if symptom.kind not in FROM_OUTSIDE:
            device_id = self.graph.device_of(symptom.ref)
            if device_id is not None and self._is_dark(device_id):
                return None
        return self.reading_of.get((symptom.ref, metric))

    def mended_at(self, symptom: Symptom) -> datetime | None:
        """When the first good reading after the trouble was seen, whether or not its alert has heard of it."""
        if symptom.clear_since is not None:
            return symptom.clear_since
        if symptom.is_flapping:
            return None
        row = self.own_reading(symptom)
        return row.at if row is not None and row.value >= 1 and row.at > symptom.since else None

    def _is_dark(self, device_id: UUID) -> bool:
        row = self.reading_of.get(((DEVICE, device_id), "device.up"))
        return row is not None and row.value < 1

    def works(self, ref: Ref, metric: str, *, after: datetime, before: datetime | None) -> bool:
        """Whether a reading proves that this worked between two moments.

        ``before`` is when recovery began: what works again then does not speak against the failure.
        """
        row = self.reading_of.get((ref, metric))
        return (
            row is not None
            and row.value >= 1
            and row.at > after
            and self.at - row.at <= FRESH
            and (before is None or row.at < before)
        )

    def answers(self, device_id: UUID) -> bool:
        """Whether the device answers now: to probes, or on its API where nobody probes it."""
        ref, long_ago = (DEVICE, device_id), self.at - FRESH
        metric = "device.up" if (ref, "device.up") in self.reading_of else "device.api.up"
        return self.works(ref, metric, after=long_ago, before=None)

    def as_document(self) -> dict[str, Any]:
        """JSON-safe content without the graph, which is kept once per version."""
        return {
            "at": self.at.isoformat(),
            "graph": self.graph.version,
            "alive_agents": sorted(map(str, self.alive_agents)),
            "symptoms": [_symptom_document(row) for row in self.symptoms],
            "readings": [
                [row.ref[0], str(row.ref[1]), row.metric, row.at.isoformat(), row.value]
                for row in self.readings
            ],
            "changes": [
                [str(row.device_id), row.at.isoformat(), row.category] for row in self.changes
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], graph: Graph) -> Self:
        """The snapshot that ``as_document`` described."""
        return cls(
            at=datetime.fromisoformat(document["at"]),
            graph=graph,
            alive_agents=frozenset(map(UUID, document["alive_agents"])),
            symptoms=tuple(_symptom(item) for item in document["symptoms"]),
            readings=tuple(
                Reading((kind, UUID(pk)), metric, datetime.fromisoformat(at), value)
                for kind, pk, metric, at, value in document["readings"]
            ),
            changes=tuple(
                ConfigChange(UUID(pk), datetime.fromisoformat(at), category)
                for pk, at, category in document.get("changes", ())
            ),
        )


def living_agents(
    pulses: Iterable[AgentPulse], symptoms: Iterable[Symptom], at: datetime
) -> frozenset[UUID]:
    """Agents that we may look through.

    While routers go dark, an agent that has not spoken since may be in the dark itself: it counts only if it was heard
    after the last router fell silent, or a moment ago.
    """
    dark = [row.since for row in symptoms if row.kind == "unreachable" and row.state == FIRING]
    heard_after = min(max(dark), at - JUST_NOW) if dark else None
    return frozenset(
        pulse.id
        for pulse in pulses
        if pulse.is_alive
        and pulse.last_heartbeat_at is not None
        and (heard_after is None or pulse.last_heartbeat_at >= heard_after)
    )


def _symptom_document(row: Symptom) -> dict[str, Any]:
    return {
        "alert_id": str(row.alert_id),
        "rule": row.rule,
        "kind": row.kind,
        "ref": [row.ref[0], str(row.ref[1])],
        "state": row.state,
        "severity": row.severity,
        "since": row.since.isoformat(),
        "fired_at": row.fired_at.isoformat() if row.fired_at else None,
        "clear_since": row.clear_since.isoformat() if row.clear_since else None,
        "summary": row.summary,
        "is_flapping": row.is_flapping,
    }


def _symptom(item: Mapping[str, Any]) -> Symptom:
    return Symptom(
        alert_id=UUID(item["alert_id"]),
        rule=item["rule"],
        kind=item["kind"],
        ref=(item["ref"][0], UUID(item["ref"][1])),
        state=item["state"],
        severity=item["severity"],
        since=datetime.fromisoformat(item["since"]),
        fired_at=_moment(item["fired_at"]),
        clear_since=_moment(item["clear_since"]),
        summary=item["summary"],
        is_flapping=item.get("is_flapping", False),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
