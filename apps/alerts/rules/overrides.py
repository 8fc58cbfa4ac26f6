"""Which override applies to an entity: the nearest, the tenant's own before the pack's. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from apps.alerts.rules.program import Level, Override, Rule, Threshold, Timing

_NEAREST_FIRST = tuple(Level)


@dataclass(frozen=True)
class Standing:
    """What an override looks at: where an entity stands."""

    device_id: str
    role: str
    site_id: str
    tags: frozenset[str]


@dataclass(frozen=True)
class Effective:
    """A rule as it applies to one entity, and what made it so."""

    is_enabled: bool
    severity: str
    timing: Timing
    threshold: float | None
    recover: float | None
    override: str


def resolve(rule: Rule, own: Iterable[Override], standing: Standing) -> Effective:
    """The rule for an entity that stands there."""
    chosen = _nearest(own, standing) or _nearest(rule.overrides, standing)
    changes = chosen.changes if chosen else {}
    condition = rule.condition
    threshold = recover = None
    if isinstance(condition, Threshold):
        threshold = changes.get("threshold", condition.threshold)
        recover = changes.get("recover", condition.recover)
    return Effective(
        is_enabled=changes.get("enabled", rule.is_enabled),
        severity=rule.severity_by_role.get(standing.role, rule.severity),
        timing=replace(
            rule.timing, for_seconds=changes.get("for_seconds", rule.timing.for_seconds)
        ),
        threshold=threshold,
        recover=recover,
        override=_describe(chosen),
    )


def applies(override: Override, standing: Standing) -> bool:
    """Whether an entity that stands there is meant."""
    match override.level:
        case Level.DEVICE:
            return override.target == standing.device_id
        case Level.TAG:
            return override.target in standing.tags
        case Level.ROLE:
            return override.target == standing.role
        case Level.SITE:
            return override.target == standing.site_id
        case Level.TENANT:
            return True


def _nearest(overrides: Iterable[Override], standing: Standing) -> Override | None:
    fitting = [override for override in overrides if applies(override, standing)]
    return min(
        fitting, key=lambda o: (_NEAREST_FIRST.index(o.level), o.target, o.label), default=None
    )


def _describe(override: Override | None) -> str:
    if override is None:
        return ""
    where = f"{override.level} {override.target}".strip()
    return f"{override.label} ({where})" if override.label else where
