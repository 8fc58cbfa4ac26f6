"""Rules and overrides of a tenant: compiled before they are stored."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.actors import Actor
from apps.alerts.errors import OverrideInvalid, RuleInvalid
from apps.alerts.models import AlertRule, RuleOverride
from apps.alerts.packs import load_pack
from apps.alerts.rules.compile import compile_rule, make_override
from apps.alerts.services.evaluate import EVALUATE
from apps.audit.services import record
from apps.events import due
from apps.tenancy.context import require_tenant_id


def install_pack(*, pack: str, actor: Actor, at: datetime) -> list[AlertRule]:
    """Install a shipped pack and start evaluating. Idempotent: the same version changes nothing."""
    return import_rules(documents=load_pack(pack), actor=actor, at=at)


def import_rules(
    *, documents: Iterable[Mapping[str, Any]], actor: Actor, at: datetime
) -> list[AlertRule]:
    """Add or renew these rules, all or none; what a tenant switched off stays off. Raises RuleInvalid."""
    compiled = [(compile_rule(document), document) for document in documents]
    with transaction.atomic():
        rows = []
        for rule, document in compiled:
            row, made = AlertRule.objects.get_or_create(
                key=rule.key,
                defaults={
                    "pack": rule.pack,
                    "version": rule.version,
                    "document": document,
                    "is_enabled": rule.is_enabled,
                    "updated_at": at,
                },
            )
            if not made and row.document != document:
                row.pack, row.version, row.document = rule.pack, rule.version, dict(document)
                row.updated_at = at
                row.save(update_fields=["pack", "version", "document", "updated_at"])
            rows.append(row)
        due.schedule(EVALUATE, at=at, tenant_id=require_tenant_id())
        record(
            action="alert_rules.imported",
            actor=actor,
            entity=("alert_rule", ""),
            at=at,
            detail={"keys": [row.key for row in rows]},
        )
    return rows


def set_enabled(*, rule: AlertRule, is_enabled: bool, actor: Actor, at: datetime) -> AlertRule:
    """Switch a rule on or off; its open alerts recover when it goes off."""
    with transaction.atomic():
        rule.is_enabled, rule.updated_at = is_enabled, at
        rule.save(update_fields=["is_enabled", "updated_at"])
        record(
            action="alert_rule.enabled" if is_enabled else "alert_rule.disabled",
            actor=actor,
            entity=("alert_rule", rule.id),
            at=at,
            detail={"key": rule.key},
        )
    return rule


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
    """Change a rule for a device, tag, role, site or the whole tenant. Raises OverrideInvalid."""
    try:
        make_override(level=level, target=target, changes=changes)
    except (RuleInvalid, ValueError) as error:
        raise OverrideInvalid(message=getattr(error, "message", str(error))) from error
    with transaction.atomic():
        row, _ = RuleOverride.objects.update_or_create(
            rule=rule,
            level=level,
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
