"""A tenant's changes of its rules, each checked against what it is about."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.alerts.errors import OverrideInvalid, RuleInvalid
from apps.alerts.models import AlertRule, RuleOverride
from apps.alerts.rules.compile import compile_rule, make_override
from apps.alerts.rules.program import Level, Threshold
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
    """Change a rule for a device, tag, role, site or the whole tenant; sets anew what was set there.

    Raises OverrideInvalid.
    """
    try:
        made = make_override(level=level, target=target, changes=changes)
    except (RuleInvalid, ValueError) as error:
        raise OverrideInvalid(message=getattr(error, "message", str(error))) from error
    has_threshold = isinstance(compile_rule(rule.document).condition, Threshold)
    if not has_threshold and changes.keys() & {"threshold", "recover"}:
        raise OverrideInvalid(message="This rule compares with no threshold.")
    target = _existing(made.level, target)
    with transaction.atomic():
        row, _ = RuleOverride.objects.update_or_create(
            rule=rule,
            level=made.level.value,
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


def _existing(level: Level, target: str) -> str:
    """The target as evaluation spells it; another tenant's device or site is as absent as none."""
    if level is Level.ROLE and target not in DeviceRole.values:
        raise OverrideInvalid("target_unknown", f"{target[:40]!r} is no role.")
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
    """Take an override back."""
    with transaction.atomic():
        record(
            action="alert_rule.override_removed",
            actor=actor,
            entity=("alert_rule", override.rule_id),
            at=at,
            detail={"level": override.level, "target": override.target},
        )
        override.delete()
