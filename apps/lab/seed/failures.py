"""Failures of a generated network: their alerts, and the verdict that the platform reaches on them. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from apps.core.messages import Message
from apps.incidents.rca.snapshot import Sample, Snapshot, Symptom
from apps.incidents.rca.verdict import Problem, Verdict, reach_verdict
from apps.lab.seed.branches import Branch
from apps.lab.seed.network import PlannedDevice, PlannedLink
from apps.topology.graph import Ref

#: Rules of the shipped pack that fire in these stories: key -> (symptom, metric).
RULES = {
    "interface_down": ("interface_down", "interface.oper_up"),
    "ospf_not_full": ("adjacency_down", "ospf.neighbor.state"),
    "ebgp_not_established": ("bgp_down", "bgp.peer.state"),
    "unreachable": ("unreachable", "device.up"),
    "management_plane": ("management_plane", "device.api.up"),
    "agent_heartbeat_missed": ("agent_missing", "agent.up"),
    "pppoe_sessions_lost": ("sessions_lost", "pppoe.sessions.active"),
    "cpu_high": ("soft", "device.cpu_pct"),
}
_CORE_ROLES = frozenset({"core", "edge", "agg"})
#: From the first alert that fired to the incident.
HOLD = timedelta(seconds=10)
POLL = timedelta(seconds=4)


@dataclass(frozen=True)
class Sign:
    """One alert of the story, whenever it fires."""

    rule: str
    ref: Ref
    severity: str
    delay: timedelta
    for_seconds: int
    seen: str
    message: Message

    @property
    def summary(self) -> str:
        """In English."""
        return self.message.english


@dataclass(frozen=True)
class Failure:
    """A failure, and its alerts in the order in which they are detected."""

    kind: str
    branch: Branch
    signs: tuple[Sign, ...]
    unreachable: frozenset[UUID] = frozenset()
    #: Adjacencies and ports that are down, and other samples of the moment: (ref, metric) -> value.
    samples: tuple[tuple[Ref, str, float], ...] = ()
    offline_agent: UUID | None = None

    def fires_at(self, sign: Sign, began: datetime) -> datetime:
        return began + sign.delay + timedelta(seconds=sign.for_seconds)

    def opens_at(self, began: datetime) -> datetime:
        """When the incident opens."""
        return min(self.fires_at(sign, began) for sign in self.signs) + HOLD


def _summary(rule: str, entity: str, **params: str | int) -> Message:
    return Message(f"alerts.summary.{rule}", {"entity": entity, **params})


def _port_down(device: PlannedDevice, port: str) -> Sign:
    is_core = device.role in _CORE_ROLES
    return Sign(
        rule="interface_down",
        ref=("interface", device.port_id(port)),
        severity="critical" if is_core else "warn",
        delay=timedelta(0),
        for_seconds=10 if is_core else 30,
        seen="0",
        message=_summary("interface_down", f"{device.name} {port}"),
    )


def _adjacency_lost(link: PlannedLink, device: PlannedDevice, far: PlannedDevice) -> Sign:
    return Sign(
        rule="ospf_not_full",
        ref=("ospf_neighbor", link.adjacency_id(device, far)),
        severity="critical",
        delay=timedelta(seconds=2),
        for_seconds=60,
        seen="down",
        message=_summary(
            "ospf_not_full", f"{device.name} {far.address} {far.address}", state="down"
        ),
    )


def _unreachable_sign(device: PlannedDevice) -> Sign:
    return Sign(
        rule="unreachable",
        ref=("device", device.id),
        severity="critical",
        delay=timedelta(seconds=3),
        for_seconds=30,
        seen="0",
        message=_summary("unreachable", device.name),
    )


def build_failure(
    kind: str,
    branch: Branch,
    *,
    cut: tuple[PlannedLink, ...] = (),
    dead: tuple[PlannedDevice, ...] = (),
) -> Failure:
    """A failure by cut links and dead routers: the unreachable routers behind them, the alerts of reachable ends."""
    gone = {device.id for device in dead}
    reachable = branch.reached(cut={link.id for link in cut}, dead=gone)
    unreachable = frozenset(device.id for device in branch.devices if device.id not in reachable)
    signs: list[Sign] = []
    samples: list[tuple[Ref, str, float]] = []
    for link in branch.links:
        for device, port, far in link.ends():
            is_down = link in cut or far.id in gone
            if device.id not in reachable:
                continue
            samples.append(
                (("interface", device.port_id(port)), "interface.oper_up", float(not is_down))
            )
            adjacency = ("ospf_neighbor", link.adjacency_id(device, far))
            samples.append((adjacency, "ospf.neighbor.up", float(not is_down)))
            if is_down:
                signs += [_port_down(device, port), _adjacency_lost(link, device, far)]
    signs += [_unreachable_sign(device) for device in branch.devices if device.id in unreachable]
    return Failure(kind, branch, tuple(signs), unreachable, tuple(samples))


def _backhaul(branch: Branch, rng: Random) -> Failure | None:
    links = [link for link in branch.links if link.kind == "backhaul"]
    return build_failure("backhaul", branch, cut=(rng.choice(links),)) if links else None


def _router(branch: Branch, rng: Random) -> Failure | None:
    inner = [d for d in branch.own if d.role in {"access", "bng"}]
    return build_failure("router", branch, dead=(rng.choice(inner),)) if inner else None


def _aggregation(branch: Branch, _rng: Random) -> Failure | None:
    inner = [d for d in branch.own if d.role == "agg"]
    return build_failure("aggregation", branch, dead=(inner[0],)) if inner else None


def _access_link(branch: Branch, rng: Random) -> Failure | None:
    links = [link for link in branch.links if link.kind == "access"]
    return build_failure("access_link", branch, cut=(rng.choice(links),)) if links else None


def _ring(branch: Branch, rng: Random) -> Failure | None:
    links = [link for link in branch.links if link.kind == "ring"]
    is_hub = all(not device.site.number for device in branch.devices)
    return build_failure("ring", branch, cut=(rng.choice(links),)) if links and is_hub else None


def _upstream(branch: Branch, rng: Random) -> Failure | None:
    peers = [p for p in branch.peers if p.is_outside and p.device in branch.own]
    if not peers:
        return None
    peer = rng.choice(peers)
    sign = Sign(
        rule="ebgp_not_established",
        ref=("bgp_peer", peer.id),
        severity="critical",
        delay=timedelta(0),
        for_seconds=60,
        seen="active",
        message=_summary("ebgp_not_established", f"{peer.device.name} {peer.name}", state="active"),
    )
    return Failure("upstream", branch, (sign,), samples=((sign.ref, "bgp.peer.up", 0.0),))


def _api(branch: Branch, rng: Random) -> Failure:
    device = rng.choice(branch.own)
    sign = Sign(
        rule="management_plane",
        ref=("device", device.id),
        severity="warn",
        delay=timedelta(0),
        for_seconds=300,
        seen="0",
        message=_summary("management_plane", device.name),
    )
    return Failure("api", branch, (sign,), samples=((sign.ref, "device.api.up", 0.0),))


def _busy(branch: Branch, rng: Random) -> Failure:
    device, percent = rng.choice(branch.own), rng.randint(91, 99)
    sign = Sign(
        rule="cpu_high",
        ref=("device", device.id),
        severity="warn",
        delay=timedelta(0),
        for_seconds=300,
        seen=f"{percent}",
        message=_summary("cpu_high", device.name, value=percent),
    )
    return Failure("busy", branch, (sign,), samples=((sign.ref, "device.cpu_pct", float(percent)),))


def _sessions(branch: Branch, _rng: Random) -> Failure | None:
    services = [row for row in branch.services if row.kind == "pppoe"]
    if not services:
        return None
    sign = Sign(
        rule="pppoe_sessions_lost",
        ref=("service", services[0].id),
        severity="critical",
        delay=timedelta(0),
        for_seconds=30,
        seen="0",
        message=_summary("pppoe_sessions_lost", services[0].name),
    )
    return Failure("sessions", branch, (sign,), samples=((sign.ref, "pppoe.sessions.active", 0.0),))


def _agent(branch: Branch, _rng: Random) -> Failure | None:
    if any(device.site.number for device in branch.devices) or len(branch.agents) < 2:
        return None
    agent = next(row for row in branch.agents if row.region == branch.region)
    sign = Sign(
        rule="agent_heartbeat_missed",
        ref=("agent", agent.id),
        severity="warn",
        delay=timedelta(seconds=35),
        for_seconds=0,
        seen="",
        message=_summary("agent_heartbeat_missed", agent.name),
    )
    return Failure("agent", branch, (sign,), offline_agent=agent.id)


Maker = Callable[[Branch, Random], Failure | None]
_MAKERS: tuple[tuple[Maker, int], ...] = (
    (_backhaul, 10),
    (_router, 26),
    (_aggregation, 2),
    (_access_link, 10),
    (_ring, 12),
    (_upstream, 30),
    (_api, 14),
    (_busy, 12),
    (_sessions, 12),
    (_agent, 8),
)


def draw_failure(branch: Branch, rng: Random) -> Failure:
    """A random failure of this branch."""
    makers, weights = zip(*_MAKERS, strict=True)
    while True:
        found: Failure | None = rng.choices(makers, weights)[0](branch, rng)
        if found is not None:
            return found


@dataclass(frozen=True)
class DiagnosedFailure:
    """A failure with the verdict reached when its incident opened."""

    snapshot: Snapshot
    verdict: Verdict
    problem: Problem


def diagnose_failure(
    failure: Failure, *, began: datetime, alert_ids: dict[Sign, UUID]
) -> DiagnosedFailure:
    """The platform's verdict on the moment in which the incident opened."""
    at = failure.opens_at(began)
    symptoms = [_symptom(failure, sign, began, at, alert_ids[sign]) for sign in failure.signs]
    snapshot = Snapshot.make(
        at=at,
        graph=failure.branch.graph,
        alive_agents=frozenset(
            row.id for row in failure.branch.agents if row.id != failure.offline_agent
        ),
        symptoms=[row for row in symptoms if row.since <= at],
        samples=list(_samples_of(failure, at - POLL)),
    )
    verdict = reach_verdict(snapshot)
    return DiagnosedFailure(snapshot, verdict, verdict.problems[0])


def _symptom(
    failure: Failure, sign: Sign, began: datetime, at: datetime, alert_id: UUID
) -> Symptom:
    fires_at = failure.fires_at(sign, began)
    is_firing = fires_at <= at
    return Symptom(
        alert_id=alert_id,
        rule=sign.rule,
        kind=RULES[sign.rule][0],
        ref=sign.ref,
        state="firing" if is_firing else "pending",
        severity=sign.severity,
        since=began + sign.delay,
        fired_at=fires_at if is_firing else None,
        clear_since=None,
        summary=sign.message,
    )


def _samples_of(failure: Failure, at: datetime) -> Iterator[Sample]:
    reported = {(ref, metric) for ref, metric, _value in failure.samples}
    for device in failure.branch.devices:
        ref = ("device", device.id)
        is_reachable = device.id not in failure.unreachable
        yield Sample(ref, "device.up", at, float(is_reachable))
        if is_reachable and (ref, "device.api.up") not in reported:
            yield Sample(ref, "device.api.up", at, 1.0)
    for ref, metric, value in failure.samples:
        if metric in {"interface.oper_up", "ospf.neighbor.up", "bgp.peer.up", "device.api.up"}:
            yield Sample(ref, metric, at, value)
