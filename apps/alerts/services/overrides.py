"""A tenant's overrides of its rules, validated against rule and target."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.alerts.errors import OverrideInvalid, RuleInvalid
from apps.alerts.models import AlertRule, RuleOverride
from apps.alerts.rules.compile import compile_rule, make_override
from apps.alerts.rules.program import Level
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.choices import DeviceRole, EntityType
from apps.inventory.selectors import entity_labels


def set_override(
    *,
    rule: AlertRule,
    level: str,
    target: str = "",
    changes: Mapping[str, Any],
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> RuleOverride:
    """Override a rule for a device, tag, role, site or the whole tenant; replaces an override of the same target.

    Raises OverrideInvalid.
    """
    try:
        override = make_override(level=level, target=target, changes=changes)
    except (RuleInvalid, ValueError) as error:
        raise OverrideInvalid(message=getattr(error, "message", str(error))) from error
    has_bounds = compile_rule(rule.document).condition.bounds is not None
    if not has_bounds and changes.keys() & {"threshold", "recover"}:
        raise OverrideInvalid(message="This rule has no threshold.")
    target = _normalized_target(override.level, target)
    with transaction.atomic():
        row, _ = RuleOverride.objects.update_or_create(
            rule=rule,
            level=override.level.value,
            target=target,
            defaults={"changes": dict(changes), "reason": reason, "updated_at": at},
        )
        record(
            action="alert_rule.override_set",
            actor=actor,
            entity=("alert_rule", rule.id),
            at=at,
            detail={"key": rule.key, "level": level, "target": target, "changes": dict(changes)},
        )
    return row


def _normalized_target(level: Level, target: str) -> str:
    """The target as evaluation writes it; another tenant's device or site does not exist here."""
    if level is Level.ROLE and target not in DeviceRole.values:
        raise OverrideInvalid("target_unknown", f"{target[:40]!r} is not a role.")
    if level not in {Level.DEVICE, Level.SITE}:
        return target
    try:
        ref = (EntityType(level.value).value, UUID(target))
    except ValueError as error:
        raise OverrideInvalid("target_unknown", f"There is no such {level}.") from error
    if ref not in entity_labels([ref]):
        raise OverrideInvalid("target_unknown", f"There is no such {level}.")
    return str(ref[1])


def remove_override(*, override: RuleOverride, actor: Actor, at: datetime) -> None:
    """Delete an override."""
    with transaction.atomic():
        record(
            action="alert_rule.override_removed",
            actor=actor,
            entity=("alert_rule", override.rule_id),
            at=at,
            detail={"level": override.level, "target": override.target},
        )
        override.delete()
