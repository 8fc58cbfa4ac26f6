"""A compiled rule: small frozen values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Aggregation(StrEnum):
    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    P95 = "p95"
    SUM = "sum"
    COUNT = "count"


class Operator(StrEnum):
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    EQ = "eq"
    NE = "ne"


@dataclass(frozen=True)
class Threshold:
    """A number against a bound. ``recover`` is the bound at which it counts as well again (hysteresis)."""

    metric: str
    aggregation: Aggregation
    lookback_seconds: float
    operator: Operator
    threshold: float
    recover: float


@dataclass(frozen=True)
class StateIs:
    """A text metric that is (or is not) one of some words, in lower case."""

    metric: str
    values: frozenset[str]
    is_bad_when_listed: bool
    lookback_seconds: float


@dataclass(frozen=True)
class Absence:
    """No reading for a while of something that was read before: blind, never down."""

    metric: str
    lookback_seconds: float


Condition = Threshold | StateIs | Absence


@dataclass(frozen=True)
class Gate:
    """The rule speaks only while this metric has this value (an interface that is enabled)."""

    metric: str
    equals: float


@dataclass(frozen=True)
class Scope:
    """Which entities a rule looks at: AND across fields, OR inside a list; empty lists ask for nothing."""

    entity_type: str
    roles: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    site_ids: frozenset[str] = frozenset()
    device_ids: frozenset[str] = frozenset()
    only_linked: bool = False


@dataclass(frozen=True)
class Timing:
    """Seconds a breach must hold, wellness must hold, and silence after a recovery."""

    for_seconds: float
    recover_for_seconds: float
    cooldown_seconds: float


@dataclass(frozen=True)
class Flap:
    """More changes than ``transitions`` within the window are one alert that says so; it ends after a quiet time."""

    transitions: int
    window_seconds: float
    quiet_seconds: float


#: The event that tells of each change of a metric: a rule on one of these can know flapping.
TURNS: Mapping[str, str] = {
    "interface.oper_up": "interface.oper.changed",
    "ospf.neighbor.up": "ospf.neighbor.state.changed",
    "ospf.neighbor.state": "ospf.neighbor.state.changed",
    "bgp.peer.up": "bgp.peer.state.changed",
    "bgp.peer.state": "bgp.peer.state.changed",
    "device.up": "device.reachable.changed",
    "device.api.up": "device.api.changed",
}


class Level(StrEnum):
    """How near an override is; the nearest wins."""

    DEVICE = "device"
    TAG = "tag"
    ROLE = "role"
    SITE = "site"
    TENANT = "tenant"


@dataclass(frozen=True)
class Override:
    """A change of a rule for some entities. ``target`` is a device id, tag, role or site id; empty for the tenant."""

    level: Level
    target: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule, compiled."""

    key: str
    name: str
    pack: str
    version: int
    symptom: str
    is_enabled: bool
    severity: str
    severity_by_role: Mapping[str, str]
    scope: Scope
    condition: Condition
    gate: Gate | None
    timing: Timing
    overrides: tuple[Override, ...]
    summary: str
    runbook: str
    flap: Flap | None = None

    @property
    def metrics(self) -> frozenset[str]:
        """Every metric that must be read to judge this rule."""
        return frozenset({self.condition.metric} | ({self.gate.metric} if self.gate else set()))
