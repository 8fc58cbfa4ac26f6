"""Which override applies to an entity: the most specific one, the tenant's before the pack's. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from apps.alerts.rules.conditions import Bounds
from apps.alerts.rules.program import Level, Override, Rule, Timing

_MOST_SPECIFIC_FIRST = tuple(Level)


@dataclass(frozen=True)
class EntityAttributes:
    """The attributes of an entity that overrides match on."""

    device_id: str
    role: str
    site_id: str
    tags: frozenset[str]


@dataclass(frozen=True)
class Effective:
    """The settings of a rule for one entity, and the override that set them."""

    is_enabled: bool
    severity: str
    timing: Timing
    #: None for a condition without thresholds.
    bounds: Bounds | None
    override: str


def resolve(rule: Rule, own: Iterable[Override], attributes: EntityAttributes) -> Effective:
    """The rule's settings for an entity with these attributes."""
    chosen = _most_specific(own, attributes) or _most_specific(rule.overrides, attributes)
    changes = chosen.changes if chosen else {}
    bounds = rule.condition.bounds
    if bounds is not None:
        bounds = Bounds(
            changes.get("threshold", bounds.threshold), changes.get("recover", bounds.recover)
        )
    return Effective(
        is_enabled=changes.get("enabled", rule.is_enabled),
        severity=rule.severity_by_role.get(attributes.role, rule.severity),
        timing=replace(
            rule.timing, for_seconds=changes.get("for_seconds", rule.timing.for_seconds)
        ),
        bounds=bounds,
        override=_describe(chosen),
    )


def applies(override: Override, attributes: EntityAttributes) -> bool:
    """Whether the override matches an entity with these attributes."""
    match override.level:
        case Level.DEVICE:
            return override.target == attributes.device_id
        case Level.TAG:
            return override.target in attributes.tags
        case Level.ROLE:
            return override.target == attributes.role
        case Level.SITE:
            return override.target == attributes.site_id
        case Level.TENANT:
            return True


def _most_specific(overrides: Iterable[Override], attributes: EntityAttributes) -> Override | None:
    matching = [override for override in overrides if applies(override, attributes)]
    return min(
        matching,
        key=lambda o: (_MOST_SPECIFIC_FIRST.index(o.level), o.target, o.label),
        default=None,
    )


def _describe(override: Override | None) -> str:
    if override is None:
        return ""
    scope = f"{override.level} {override.target}".strip()
    return f"{override.label} ({scope})" if override.label else scope
