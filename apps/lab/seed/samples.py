"""Samples of a generated network: the latest of every series, and a day of some for charts; failures are included."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from apps.lab.seed.failures import Failure
from apps.lab.seed.network import Network, PlannedDevice, PlannedLink
from apps.lab.seed.storing import parts_of
from apps.lab.seed.waves import Wave, seconds_of
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey, TextSample

BACK = timedelta(hours=24)
#: A point per four minutes of the day, per two of what open incidents look back on, per minute of the last hour.
COARSE, FINE, FINE_FOR = timedelta(minutes=4), timedelta(minutes=1), timedelta(hours=1)
MIDDLE, MIDDLE_FOR = timedelta(minutes=2), timedelta(hours=9)
SAMPLES_AT_ONCE = 40_000
GIB = 2.0**30
#: Share of the ports without a link that are up: customers are connected there.
LIT_SPARE = 0.4
#: Roles whose adjacencies and BGP sessions always have a day of samples.
BACKBONE = ("core", "edge")
#: One port of this many is nearly saturated, one router of this many has responded slowly since ``SLOW_FOR``.
FULL_ONE_OF, SLOW_ONE_OF = 19, 13
SLOW_FOR, SLOW_MS = timedelta(minutes=50), 38


@dataclass(frozen=True)
class Episode:
    """A failure with when it was there; ``ended`` is None while it lasts."""

    failure: Failure
    began: datetime
    ended: datetime | None

    def holds_at(self, at: datetime) -> bool:
        return self.began <= at and (self.ended is None or at < self.ended)


@dataclass
class _Outages:
    """Outages by entity."""

    unreachable: dict[UUID, list[Episode]] = field(default_factory=dict)
    #: (entity, metric) -> episodes with the value of their samples.
    reported: dict[tuple[UUID, str], list[tuple[Episode, float]]] = field(default_factory=dict)
    #: Regions whose agent is offline, and since when.
    blind: dict[int, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, episodes: Iterable[Episode]) -> "_Outages":
        found = cls()
        for episode in episodes:
            failure = episode.failure
            for device_id in failure.unreachable:
                found.unreachable.setdefault(device_id, []).append(episode)
            for ref, metric, value in failure.samples:
                if value < 1 or metric == "device.cpu_pct":
                    found.reported.setdefault((ref[1], metric), []).append((episode, value))
            if failure.offline_agent and episode.ended is None:
                found.blind[failure.branch.region] = episode.began
        return found

    def is_unreachable(self, device_id: UUID, at: datetime) -> bool:
        return any(row.holds_at(at) for row in self.unreachable.get(device_id, ()))

    def value(self, entity_id: UUID, metric: str, at: datetime) -> float | None:
        for episode, value in self.reported.get((entity_id, metric), ()):
            if episode.holds_at(at):
                return value
        return None


def grid(since: datetime | None, at: datetime) -> list[datetime]:
    """The moments at which charts have a point, after ``since`` up to ``at``; the same for every call."""
    found = {at}
    steps = ((COARSE, BACK), (MIDDLE, MIDDLE_FOR), (FINE, FINE_FOR))
    for step, start in ((step, at - back) for step, back in steps):
        first = start.timestamp() // step.total_seconds() + 1
        moment = datetime.fromtimestamp(first * step.total_seconds(), tz=at.tzinfo)
        while moment <= at:
            found.add(moment)
            moment += step
    return sorted(moment for moment in found if since is None or moment > since)


@dataclass(frozen=True)
class _Port:
    """A port: whether it is up, and its traffic if it is linked."""

    id: UUID
    is_reachable: bool
    inward: Wave | None = None
    outward: Wave | None = None


class SampleWriter:
    """Writes the samples of a generated network."""

    def __init__(self, network: Network, episodes: Sequence[Episode]) -> None:
        self._network = network
        self._episodes = episodes
        self._outages = _Outages.of(episodes)
        self._links_of: dict[UUID, list[tuple[PlannedLink, str, PlannedDevice | None]]] = {}
        for link in network.links:
            self._links_of.setdefault(link.a.id, []).append((link, link.a_port, link.z))
            if link.z is not None:
                self._links_of.setdefault(link.z.id, []).append((link, link.z_port, link.a))
        self._services_of = {row.device.id: row for row in network.services if row.subscribers}
        self._peers_of: dict[UUID, list[UUID]] = {}
        for peer in network.peers:
            self._peers_of.setdefault(peer.device.id, []).append(peer.id)
        self._booted = {
            device.id: self._rng(device).uniform(5, 300) * 86_400 for device in network.devices
        }

    def write(self, *, since: datetime | None, at: datetime) -> int:
        """Store the samples after ``since`` (None: of the whole last day); returns how many."""
        if since is not None and since >= at:
            return 0
        charted = self._charted()
        written = 0
        for part in parts_of(self._samples(charted, since, at), SAMPLES_AT_ONCE):
            written += len(part)
            store.write_batch(
                samples=[row for row in part if isinstance(row, Sample)],
                texts=[row for row in part if isinstance(row, TextSample)],
                received_at=at,
            )
        return written

    def _charted(self) -> list[PlannedDevice]:
        """Failed devices first."""
        now = [row for row in self._episodes if row.ended is None]
        wanted: dict[UUID, PlannedDevice] = {}
        for episode in now:
            hit = {ref[1] for sign in episode.failure.signs for ref in [sign.ref]}
            for device in episode.failure.branch.devices:
                ports = {device.port_id(port) for port in device.ports}
                if device.id in episode.failure.unreachable or device.id in hit or hit & ports:
                    wanted[device.id] = device
        for device in self._network.devices:
            if len(wanted) >= max(self._network.size.charted, len(now)):
                break
            wanted.setdefault(device.id, device)
        return list(wanted.values())

    def _samples(
        self, charted: list[PlannedDevice], since: datetime | None, at: datetime
    ) -> Iterator[Sample | TextSample]:
        moments = grid(since, at)
        long = {device.id for device in charted}
        coarse = [moment for moment in moments if moment.minute % 12 == 0] + [at]
        for device in self._network.devices:
            last_seen = self._outages.blind.get(device.site.region)
            own = moments if device.id in long else [at]
            watched = own if device.id in long or device.role not in BACKBONE else coarse
            if last_seen is not None:
                own = [moment for moment in own if moment < last_seen] or [last_seen]
                watched = [moment for moment in watched if moment < last_seen] or [last_seen]
            yield from self._of_device(device, own, is_charted=device.id in long)
            if device.role in BACKBONE:
                yield from self._of_sessions(device, watched)
            service = self._services_of.get(device.id)
            if service is not None:
                curve = own if device.id in long else coarse
                if last_seen is not None:
                    curve = [moment for moment in curve if moment < last_seen] or [last_seen]
                yield from self._sessions(device, service.id, service.subscribers, curve)

    def _of_device(
        self, device: PlannedDevice, moments: list[datetime], *, is_charted: bool
    ) -> Iterator[Sample | TextSample]:
        rng = self._rng(device)
        cpu = Wave.draw(rng, low=rng.uniform(3, 12), swing=rng.uniform(10, 45))
        memory = Wave.draw(rng, low=rng.uniform(0.3, 1.2), swing=0.2)
        took = Wave.draw(rng, low=rng.uniform(12, 60), swing=40)
        probe = self._network.id_of("probe", device.name)
        ports = self._ports(device, rng)
        fine_from = moments[-1] - FINE_FOR
        for moment in moments:
            is_last = moment == moments[-1]
            reachable = not self._outages.is_unreachable(device.id, moment)
            api = reachable and self._outages.value(device.id, "device.api.up", moment) is None
            yield _sample("device", device.id, "device.up", moment, float(reachable))
            if is_last:
                yield _sample("device", device.id, "device.api.up", moment, float(api))
                yield _sample("probe_target", probe, "probe.tcp.up", moment, float(api))
            if not api:
                continue
            now = seconds_of(moment)
            busy = self._outages.value(device.id, "device.cpu_pct", moment)
            connect = took.value(now) / 8
            if device.id.int % SLOW_ONE_OF == 0 and moment > moments[-1] - SLOW_FOR:
                connect += SLOW_MS
            yield _sample("probe_target", probe, "probe.tcp.connect_ms", moment, connect)
            reported = [
                ("device.cpu_pct", cpu.value(now) if busy is None else busy),
                ("device.mem_used_bytes", memory.value(now) * GIB),
            ]
            if is_last:
                reported += [
                    ("device.poll.ms", took.value(now)),
                    ("device.uptime_seconds", self._booted[device.id] + now),
                    ("device.mem_total_bytes", 4 * GIB),
                ]
            for metric, value in reported:
                yield _sample("device", device.id, metric, moment, value)
            if is_charted:
                yield from self._traffic(ports, moment, has_errors=moment > fine_from)
            if is_last:
                yield from self._port_states(ports, moment)
                yield from self._of_neighbors(device, moment)
        if self._outages.is_unreachable(device.id, moments[-1]):
            # The last samples of an unreachable router are as old as the failure.
            yield from self._port_states(ports, self._outages.unreachable[device.id][-1].began)

    def _ports(self, device: PlannedDevice, rng: Random) -> list[_Port]:
        capacity = {
            port: link.capacity_bps for link, port, _far in self._links_of.get(device.id, ())
        }
        found = []
        for name in device.ports:
            pk = device.port_id(name)
            if name not in capacity:
                is_reachable = not name.startswith("ether") or rng.random() < LIT_SPARE
                found.append(_Port(pk, is_reachable))
                continue
            share = capacity[name] / 8 * rng.uniform(0.08, 0.55)
            inward = Wave.draw(rng, low=share * 0.15, swing=share)
            if pk.int % FULL_ONE_OF == 0:
                inward = Wave(capacity[name] / 8 * 0.74, capacity[name] / 8 * 0.24, inward.phases)
            outward = Wave.draw(rng, low=share * 0.05, swing=share * 0.35)
            found.append(_Port(pk, True, inward, outward))
        return found

    def _port_states(self, ports: list[_Port], moment: datetime) -> Iterator[Sample]:
        for port in ports:
            down = self._outages.value(port.id, "interface.oper_up", moment) is not None
            is_up = float(port.is_reachable and not down)
            yield _sample("interface", port.id, "interface.oper_up", moment, is_up)

    def _traffic(
        self, ports: list[_Port], moment: datetime, *, has_errors: bool
    ) -> Iterator[Sample]:
        now = seconds_of(moment)
        for port in ports:
            if port.inward is None or port.outward is None:
                continue
            if self._outages.value(port.id, "interface.oper_up", moment) is not None:
                continue
            counters = [
                ("interface.rx_bytes_total", port.inward.total(now)),
                ("interface.tx_bytes_total", port.outward.total(now)),
            ]
            if has_errors:
                errors = (now // 60) if port.id.int % 23 == 0 else 0.0
                counters.append(("interface.rx_errors_total", errors))
            for metric, value in counters:
                yield _sample("interface", port.id, metric, moment, value)

    def _of_sessions(self, device: PlannedDevice, moments: list[datetime]) -> Iterator[Sample]:
        """Adjacencies and BGP sessions of the backbone over the day."""
        keys = [
            ("ospf_neighbor", link.adjacency_id(device, far), "ospf.neighbor.up")
            for link, _port, far in self._links_of.get(device.id, ())
            if far is not None
        ]
        keys += [("bgp_peer", pk, "bgp.peer.up") for pk in self._peers_of.get(device.id, ())]
        for moment in moments:
            if self._outages.is_unreachable(device.id, moment):
                continue
            for kind, pk, metric in keys:
                lost = self._outages.value(pk, metric, moment) is not None
                yield _sample(kind, pk, metric, moment, float(not lost))

    def _of_neighbors(
        self, device: PlannedDevice, moment: datetime
    ) -> Iterator[Sample | TextSample]:
        up_for = self._booted[device.id] / 3 + seconds_of(moment)
        for link, _port, far in self._links_of.get(device.id, ()):
            if far is None:
                continue
            pk = link.adjacency_id(device, far)
            lost = self._outages.value(pk, "ospf.neighbor.up", moment) is not None
            key = ("ospf_neighbor", pk)
            yield _sample(*key, "ospf.neighbor.up", moment, float(not lost))
            yield _text(*key, "ospf.neighbor.state", moment, "down" if lost else "full")
            if not lost:
                yield _sample(*key, "ospf.neighbor.uptime_seconds", moment, up_for)
        for pk in self._peers_of.get(device.id, ()):
            lost = self._outages.value(pk, "bgp.peer.up", moment) is not None
            yield _sample("bgp_peer", pk, "bgp.peer.up", moment, float(not lost))
            yield _text(
                "bgp_peer", pk, "bgp.peer.state", moment, "active" if lost else "established"
            )
            if not lost:
                yield _sample("bgp_peer", pk, "bgp.peer.uptime_seconds", moment, up_for)
                yield _sample(
                    "bgp_peer", pk, "bgp.peer.prefixes_in", moment, float(pk.int % 900_000 + 40)
                )

    def _sessions(
        self, device: PlannedDevice, service_id: UUID, subscribers: int, moments: list[datetime]
    ) -> Iterator[Sample]:
        wave = Wave.draw(self._rng(device), low=subscribers * 0.7, swing=subscribers * 0.3)
        for moment in moments:
            if self._outages.is_unreachable(device.id, moment):
                continue
            lost = self._outages.value(service_id, "pppoe.sessions.active", moment)
            value = round(wave.value(seconds_of(moment))) if lost is None else lost
            yield _sample("service", service_id, "pppoe.sessions.active", moment, float(value))

    def _rng(self, device: PlannedDevice) -> Random:
        return Random(device.id.int)


def _sample(kind: str, pk: UUID, metric: str, at: datetime, value: float) -> Sample:
    return Sample(SeriesKey(kind, pk, metric), at, value)


def _text(kind: str, pk: UUID, metric: str, at: datetime, text: str) -> TextSample:
    return TextSample(SeriesKey(kind, pk, metric), at, text)
