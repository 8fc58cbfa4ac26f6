"""The telemetry registry, version 1: every metric and event of the ingest protocol.

Names are stable, lower case, dotted, with the unit in the name where it is not obvious. Counters are sent as
counters; the server derives rates. A missing value is left out, never sent as 0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

ENTITY_TYPES = (
    "device",
    "interface",
    "site",
    "service",
    "link",
    "bgp_peer",
    "ospf_neighbor",
    "probe_target",
    "agent",
)
QUALITIES = ("good", "estimated", "stale")
SEVERITIES = ("info", "warn", "critical")


class Kind(StrEnum):
    """Type of a metric's value."""

    GAUGE = "gauge"
    COUNTER = "counter"
    BOOL = "bool"
    TEXT = "text"


class Tier(StrEnum):
    """How often a metric is polled; the polling profile sets the interval of each tier."""

    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"
    DAILY = "daily"


@dataclass(frozen=True)
class Metric:
    """One registered metric. Bounds are inclusive and apply to numbers only."""

    name: str
    entity_type: str
    kind: Kind
    tier: Tier
    minimum: float
    maximum: float

    @property
    def is_text(self) -> bool:
        return self.kind is Kind.TEXT


@dataclass(frozen=True)
class EventType:
    """One registered event with its default severity."""

    name: str
    severity: str


_KINDS = {"g": Kind.GAUGE, "c": Kind.COUNTER, "b": Kind.BOOL, "t": Kind.TEXT}
_TIERS = {"f": Tier.FAST, "m": Tier.MEDIUM, "s": Tier.SLOW, "d": Tier.DAILY}

# entity: names | kind tier. Bounds follow from the name's unit, see _bounds.
_TABLE = """
device: device.up device.api.up device.snmp.up | b f
device: device.login.held device.certificate.ok | b f
device: device.uptime_seconds | g m
device: device.cpu_pct device.cpu_core_max_pct | g m
device: device.mem_used_bytes device.mem_total_bytes | g m
device: device.disk_used_bytes device.disk_total_bytes | g s
device: device.temp_c device.board_temp_c device.voltage_v device.current_a device.power_w device.fan_rpm | g m
device: device.psu.ok | b m
device: device.config.fingerprint | t d
device: device.clock.skew_seconds | g m
device: device.conntrack.entries device.conntrack.max | g m
device: device.poll.ms device.poll.rows device.poll.commands device.poll.logins | g f
interface: interface.oper_up interface.admin_up | b f
interface: interface.rx_bytes_total interface.tx_bytes_total interface.rx_packets_total | c m
interface: interface.tx_packets_total interface.rx_errors_total interface.tx_errors_total | c m
interface: interface.rx_discards_total interface.tx_discards_total interface.fcs_errors_total | c m
interface: interface.link_downs_total | c m
interface: interface.rx_bps interface.tx_bps interface.utilization_pct | g m
interface: interface.errors_per_sec interface.discards_per_sec | g m
interface: interface.speed_bps | g s
interface: interface.optic.rx_dbm interface.optic.tx_dbm interface.optic.temp_c | g s
interface: interface.optic.bias_ma interface.optic.voltage_v | g s
interface: interface.wireless.clients interface.wireless.signal_dbm_p10 | g m
bgp_peer: bgp.peer.up | b f
bgp_peer: bgp.peer.state | t f
bgp_peer: bgp.peer.uptime_seconds bgp.peer.prefixes_in bgp.peer.prefixes_out | g m
bgp_peer: bgp.peer.flaps_total | c m
bgp_peer: bgp.peer.last_error | t m
ospf_neighbor: ospf.neighbor.up | b f
ospf_neighbor: ospf.neighbor.state | t f
ospf_neighbor: ospf.neighbor.uptime_seconds | g m
ospf_neighbor: ospf.neighbor.state_changes_total | c m
ospf_neighbor: bfd.session.up | b f
probe_target: probe.ping.loss_pct probe.ping.rtt_ms probe.ping.jitter_ms | g f
probe_target: probe.tcp.up | b f
probe_target: probe.tcp.connect_ms | g f
probe_target: probe.http.up | b m
probe_target: probe.http.latency_ms probe.http.status | g m
probe_target: probe.dns.up | b m
probe_target: probe.dns.latency_ms | g m
service: pppoe.sessions.active pppoe.sessions.by_profile pppoe.sessions.churn_per_min | g m
service: pppoe.connects_total pppoe.disconnects_total pppoe.auth_failures_total | c m
service: dhcp.leases.active | g m
service: dhcp.pool.used_pct | g s
service: radius.timeouts_total | c m
service: radius.rtt_ms | g m
service: service.up | b m
service: service.score | g m
agent: agent.up | b f
agent: agent.buffer.depth agent.buffer.age_seconds agent.jobs.running | g f
agent: agent.poll.errors_total | c m
agent: agent.quarantine.active | b f
agent: agent.push.lag_seconds agent.clock.skew_seconds | g f
link: link.utilization_pct link.health | g m
site: site.up_pct site.cx_score | g m
"""

_BIG = float(2**63 - 1)
_SIGNED_UNITS = ("_c", "_dbm", "_dbm_p10", "skew_seconds", "_a", "_w", "_v", "_ma")


def _bounds(name: str, kind: Kind) -> tuple[float, float]:
    if kind is Kind.BOOL:
        return 0, 1
    if kind is Kind.COUNTER:
        return 0, float(2**64)
    if name in {"interface.utilization_pct", "link.utilization_pct"}:
        return 0, 1000  # a short burst measured over a shorter interval may pass 100
    if name.endswith(("_pct", "_score")):
        return 0, 100
    if name.endswith(_SIGNED_UNITS):
        return -_BIG, _BIG
    return 0, _BIG


def _read_table() -> Iterator[Metric]:
    for line in _TABLE.strip().splitlines():
        entity_type, _, rest = line.partition(": ")
        names, _, codes = rest.partition(" | ")
        kind_code, tier_code = codes.split()
        kind = _KINDS[kind_code]
        for name in names.split():
            yield Metric(name, entity_type, kind, _TIERS[tier_code], *_bounds(name, kind))


METRICS: Mapping[str, Metric] = MappingProxyType({m.name: m for m in _read_table()})

#: Metrics that only the server derives; sent by an agent, they are rejected.
SERVER_METRICS = frozenset({"agent.quarantine.active"})

#: The label that makes one metric of one entity several series. Other labels do not identify a series.
DIMENSIONS: Mapping[str, str] = MappingProxyType({"pppoe.sessions.by_profile": "profile"})

_WARN = {
    "device.rebooted",
    "agent.heartbeat.missed",
    "agent.buffer.high",
    "agent.clock.skewed",
    "agent.identity.conflicted",
    "agent.data.quarantined",
    "monitoring.degraded",
    "probe.degraded",
    "pppoe.session.storm",
    "auth.login.failed",
    "certificate.expiring",
    "device.certificate.changed",
}
_EVENT_NAMES = """
device.reachable.changed device.api.changed device.rebooted device.version.changed interface.oper.changed
bgp.peer.state.changed ospf.neighbor.state.changed probe.degraded pppoe.session.storm agent.heartbeat.missed
agent.buffer.high agent.clock.skewed agent.identity.conflicted agent.data.quarantined monitoring.degraded
config.changed.detected auth.login.failed syslog.message certificate.expiring device.certificate.changed
"""
EVENTS: Mapping[str, EventType] = MappingProxyType(
    {name: EventType(name, "warn" if name in _WARN else "info") for name in _EVENT_NAMES.split()}
)
