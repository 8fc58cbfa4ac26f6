"""The input of a verdict as one immutable value: taken once, stored with the verdict, replayed later.

Pure: no ORM, no clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self
from uuid import UUID

import msgspec

from apps.core.messages import Message
from apps.topology.graph import DEVICE, SITE, Graph, Ref

PENDING, FIRING = "pending", "firing"
#: Type of a candidate that is no failed entity but the problem of one alert.
SYMPTOM = "symptom"
#: The same for a site: its mains power has failed and its routers still run on batteries.
POWER = "power"

#: Metrics with 1 for working and 0 for not working.
STATE_METRICS = (
    "device.up",
    "device.api.up",
    "interface.oper_up",
    "ospf.neighbor.up",
    "bgp.peer.up",
)

#: The metric that an alert of this kind is raised on.
OWN_METRIC = {
    "unreachable": "device.up",
    "management_plane": "device.api.up",
    "interface_down": "interface.oper_up",
    "adjacency_down": "ospf.neighbor.up",
    "bgp_down": "bgp.peer.up",
}
#: Symptoms observed from outside: they are still polled when their router is cut off.
OBSERVED_FROM_OUTSIDE = frozenset({"unreachable", "management_plane"})

#: An older sample is not used as the current state.
MAX_SAMPLE_AGE = timedelta(seconds=90)
#: Agents send a heartbeat every 10 s; one with a heartbeat within this time is alive.
RECENT_HEARTBEAT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Symptom:
    """An alert as input of correlation."""

    alert_id: UUID
    rule: str
    kind: str
    ref: Ref
    state: str
    severity: str
    since: datetime
    fired_at: datetime | None
    # Time of the first good sample after the problem; null while it lasts.
    clear_since: datetime | None
    summary: Message
    # While an alert is flapping, a single good sample proves nothing.
    is_flapping: bool = False


#: Problems of a router that still forwards traffic: nothing behind it is affected, so they are no network failures.
OWN_PROBLEMS = frozenset({"management_plane", "power_lost", "soft"})


def own_problem(symptom: Symptom) -> Ref:
    """The candidate of an alert whose problem affects only its own entity."""
    return (SYMPTOM, symptom.alert_id)


@dataclass(frozen=True, slots=True)
class AgentHeartbeat:
    """An agent's last heartbeat, and whether it counts as alive by the rule of missed heartbeats."""

    id: UUID
    last_heartbeat_at: datetime | None
    is_alive: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """The newest value of a state metric: 1 works, 0 does not."""

    ref: Ref
    metric: str
    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A change of a router's configuration, detected at ``at``, made a little earlier."""

    device_id: UUID
    at: datetime
    category: str


@dataclass(frozen=True)
class Snapshot:
    """The state of a tenant's network at one time. ``make`` puts it in canonical order."""

    at: datetime
    graph: Graph
    alive_agents: frozenset[UUID]
    symptoms: tuple[Symptom, ...]
    samples: tuple[Sample, ...]
    changes: tuple[ConfigChange, ...] = ()

    @classmethod
    def make(
        cls,
        *,
        at: datetime,
        graph: Graph,
        alive_agents: frozenset[UUID],
        symptoms: list[Symptom],
        samples: list[Sample],
        changes: Iterable[ConfigChange] = (),
    ) -> Self:
        """A snapshot whose content does not depend on the order of its parts.

        Of two episodes of one alert the later one is used.
        """
        newest: dict[tuple[str, Ref], Symptom] = {}
        for symptom in sorted(symptoms, key=lambda s: (s.since, s.alert_id)):
            newest[symptom.rule, symptom.ref] = symptom
        return cls(
            at=at,
            graph=graph,
            alive_agents=alive_agents,
            symptoms=tuple(sorted(newest.values(), key=lambda s: s.alert_id)),
            samples=tuple(sorted(samples, key=lambda r: (r.ref, r.metric))),
            changes=tuple(sorted(set(changes), key=lambda c: (c.at, c.device_id, c.category))),
        )

    @cached_property
    def sample_of(self) -> Mapping[tuple[Ref, str], Sample]:
        return {(row.ref, row.metric): row for row in self.samples}

    @cached_property
    def _symptom_by_alert(self) -> Mapping[UUID, Symptom]:
        return {row.alert_id: row for row in self.symptoms}

    def entity_of(self, candidate: Ref) -> Ref:
        """The entity of a candidate."""
        if candidate[0] == POWER:
            return (SITE, candidate[1])
        return self._symptom_by_alert[candidate[1]].ref if candidate[0] == SYMPTOM else candidate

    @cached_property
    def unreachable_since(self) -> Mapping[UUID, datetime]:
        """Since when each device has answered no probe."""
        return {s.ref[1]: s.since for s in self.symptoms if s.kind == "unreachable"}

    def own_sample(self, symptom: Symptom) -> Sample | None:
        """The newest sample of the metric that the symptom was raised on; None when there is none, or it cannot be
        polled because its router is cut off."""
        metric = OWN_METRIC.get(symptom.kind, "")
        if symptom.kind not in OBSERVED_FROM_OUTSIDE:
            device_id = self.graph.device_of(symptom.ref)
            if device_id is not None and self._is_unreachable(device_id):
                return None
        return self.sample_of.get((symptom.ref, metric))

    def recovered_at(self, symptom: Symptom) -> datetime | None:
        """Time of the first good sample after the problem, even if its alert has not been evaluated since."""
        if symptom.clear_since is not None:
            return symptom.clear_since
        if symptom.is_flapping:
            return None
        row = self.own_sample(symptom)
        return row.at if row is not None and row.value >= 1 and row.at > symptom.since else None

    def _is_unreachable(self, device_id: UUID) -> bool:
        row = self.sample_of.get(((DEVICE, device_id), "device.up"))
        return row is not None and row.value < 1

    def works(self, ref: Ref, metric: str, *, after: datetime, before: datetime | None) -> bool:
        """Whether a sample proves that this worked between two times.

        ``before`` is when recovery began: a good sample after that does not contradict the failure.
        """
        row = self.sample_of.get((ref, metric))
        return (
            row is not None
            and row.value >= 1
            and row.at > after
            and self.at - row.at <= MAX_SAMPLE_AGE
            and (before is None or row.at < before)
        )

    def answers(self, device_id: UUID) -> bool:
        """Whether the device responds now: to probes, or on its API where no agent probes it."""
        ref, long_ago = (DEVICE, device_id), self.at - MAX_SAMPLE_AGE
        metric = "device.up" if (ref, "device.up") in self.sample_of else "device.api.up"
        return self.works(ref, metric, after=long_ago, before=None)

    def as_document(self) -> dict[str, Any]:
        """JSON-safe content without the graph, which is stored once per version."""
        return {
            "at": self.at.isoformat(),
            "graph": self.graph.version,
            "alive_agents": sorted(map(str, self.alive_agents)),
            "symptoms": [_symptom_document(row) for row in self.symptoms],
            "samples": [
                [row.ref[0], str(row.ref[1]), row.metric, row.at.isoformat(), row.value]
                for row in self.samples
            ],
            "changes": [
                [str(row.device_id), row.at.isoformat(), row.category] for row in self.changes
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], graph: Graph) -> Self:
        """The inverse of ``as_document``."""
        return cls(
            at=datetime.fromisoformat(document["at"]),
            graph=graph,
            alive_agents=frozenset(map(UUID, document["alive_agents"])),
            symptoms=tuple(_symptom(item) for item in document["symptoms"]),
            samples=tuple(
                Sample((kind, UUID(pk)), metric, datetime.fromisoformat(at), value)
                for kind, pk, metric, at, value in document["samples"]
            ),
            changes=tuple(
                ConfigChange(UUID(pk), datetime.fromisoformat(at), category)
                for pk, at, category in document.get("changes", ())
            ),
        )


def live_agents(
    heartbeats: Iterable[AgentHeartbeat], symptoms: Iterable[Symptom], at: datetime
) -> frozenset[UUID]:
    """Agents whose observations count.

    While routers become unreachable, an agent without a heartbeat since may be cut off itself: it counts only if its
    heartbeat is later than the last router became unreachable, or very recent.
    """
    unreachable = [
        row.since for row in symptoms if row.kind == "unreachable" and row.state == FIRING
    ]
    heartbeat_after = min(max(unreachable), at - RECENT_HEARTBEAT) if unreachable else None
    return frozenset(
        heartbeat.id
        for heartbeat in heartbeats
        if heartbeat.is_alive
        and heartbeat.last_heartbeat_at is not None
        and (heartbeat_after is None or heartbeat.last_heartbeat_at >= heartbeat_after)
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
        "summary": row.summary.as_document(),
        "is_flapping": row.is_flapping,
    }


def _symptom(item: Mapping[str, Any]) -> Symptom:
    return msgspec.convert({**item, "summary": Message.from_document(item["summary"])}, Symptom)
