"""Data types of a compiled rule. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from apps.alerts.rules.conditions import Condition


@dataclass(frozen=True)
class Gate:
    """The rule is evaluated only while this metric has this value (for example: the interface is enabled)."""

    metric: str
    equals: float


@dataclass(frozen=True)
class Scope:
    """Which entities a rule applies to: AND across fields, OR inside a list; an empty list does not restrict."""

    entity_type: str
    roles: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    site_ids: frozenset[str] = frozenset()
    device_ids: frozenset[str] = frozenset()
    only_linked: bool = False


@dataclass(frozen=True)
class Timing:
    """Seconds that a breach must last, that a recovery must last, and before it may fire again."""

    for_seconds: float
    recover_for_seconds: float
    cooldown_seconds: float


@dataclass(frozen=True)
class Flap:
    """More than ``transitions`` state changes within the window are flapping; it ends after ``quiet_seconds``."""

    transitions: int
    window_seconds: float
    quiet_seconds: float


#: The event that reports state changes of a metric: only rules on these metrics support flap detection.
STATE_CHANGE_EVENTS: Mapping[str, str] = {
    "interface.oper_up": "interface.oper.changed",
    "ospf.neighbor.up": "ospf.neighbor.state.changed",
    "ospf.neighbor.state": "ospf.neighbor.state.changed",
    "bgp.peer.up": "bgp.peer.state.changed",
    "bgp.peer.state": "bgp.peer.state.changed",
    "device.up": "device.reachable.changed",
    "device.api.up": "device.api.changed",
}


class Level(StrEnum):
    """Level of an override, the most specific first; the most specific one wins."""

    DEVICE = "device"
    TAG = "tag"
    ROLE = "role"
    SITE = "site"
    TENANT = "tenant"


@dataclass(frozen=True)
class Override:
    """Changed settings of a rule for some entities. ``target`` is a device id, tag, role or site id; empty for the
    tenant."""

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
        """Every metric that evaluating this rule needs."""
        return frozenset({self.condition.metric} | ({self.gate.metric} if self.gate else set()))
