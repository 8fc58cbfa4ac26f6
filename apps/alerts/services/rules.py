"""Writes of a tenant's rules; each is compiled before it is stored."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.alerts.choices import ImportMode
from apps.alerts.errors import PackUnknown, RuleInvalid
from apps.alerts.models import AlertRule
from apps.alerts.packs import load_pack
from apps.alerts.rules.compile import compile_rule
from apps.alerts.rules.program import Rule
from apps.alerts.services.evaluate import EVALUATE
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.events import due
from apps.tenancy.context import require_tenant_id

#: The pack that a new tenant gets.
DEFAULT_PACK = "first"


def install_pack(
    *, pack: str, mode: ImportMode = ImportMode.MERGE, actor: Actor, at: datetime
) -> list[AlertRule]:
    """Install a shipped rule pack and start evaluating it. Idempotent: the same version changes nothing.

    Raises PackUnknown.
    """
    try:
        documents = load_pack(pack)
    except KeyError as error:
        raise PackUnknown(message="No such pack ships with the platform.") from error
    return import_rules(documents=documents, pack=pack, mode=mode, actor=actor, at=at)


def install_default_pack(actor: Actor, at: datetime) -> None:
    """The rules of a new tenant: without any it would have samples, but no alerts and no incidents."""
    install_pack(pack=DEFAULT_PACK, actor=actor, at=at)


def import_rules(
    *,
    documents: Iterable[Mapping[str, Any]],
    pack: str = "",
    mode: ImportMode = ImportMode.MERGE,
    actor: Actor,
    at: datetime,
) -> list[AlertRule]:
    """Add or update these rules, all or none. Raises RuleInvalid.

    Merge: disabled rules stay disabled, and other rules of the pack do not change.
    Replace: each rule is enabled or disabled as its document says, and other rules of the pack are disabled. They are
    not deleted: their alerts still have to recover, and their history is kept.
    """
    compiled = _compiled(documents, pack)
    with transaction.atomic():
        rows = [_upsert(rule, document, mode, at) for rule, document in compiled]
        disabled = []
        if mode == ImportMode.REPLACE:
            others = AlertRule.objects.filter(pack=pack, is_enabled=True).exclude(
                key__in=[row.key for row in rows]
            )
            disabled = sorted(others.values_list("key", flat=True))
            others.update(is_enabled=False, updated_at=at)
        due.schedule(EVALUATE, at=at, tenant_id=require_tenant_id())
        record(
            action="alert_rules.imported",
            actor=actor,
            entity=("alert_rule", ""),
            at=at,
            detail={
                "pack": pack,
                "mode": str(mode),
                "keys": [row.key for row in rows],
                "disabled": disabled,
            },
        )
    return rows


def _compiled(
    documents: Iterable[Mapping[str, Any]], pack: str
) -> list[tuple[Rule, dict[str, Any]]]:
    found: dict[str, tuple[Rule, dict[str, Any]]] = {}
    for row in documents:
        document = {"pack": pack, **row} if pack else dict(row)
        rule = compile_rule(document)
        if pack and rule.pack != pack:
            raise RuleInvalid(message=f"{rule.key}: pack is {rule.pack!r}, not {pack!r}.")
        if rule.key in found:
            raise RuleInvalid(message=f"{rule.key} occurs twice.")
        found[rule.key] = rule, document
    return list(found.values())


def _upsert(rule: Rule, document: dict[str, Any], mode: ImportMode, at: datetime) -> AlertRule:
    row, is_new = AlertRule.objects.get_or_create(
        key=rule.key,
        defaults={
            "pack": rule.pack,
            "version": rule.version,
            "document": document,
            "is_enabled": rule.is_enabled,
            "updated_at": at,
        },
    )
    wanted = rule.is_enabled if mode == ImportMode.REPLACE else row.is_enabled
    if not is_new and (row.document != document or row.is_enabled != wanted):
        row.pack, row.version, row.document = rule.pack, rule.version, document
        row.is_enabled, row.updated_at = wanted, at
        row.save(update_fields=["pack", "version", "document", "is_enabled", "updated_at"])
    return row


def set_enabled(*, rule: AlertRule, is_enabled: bool, actor: Actor, at: datetime) -> AlertRule:
    """Enable or disable a rule; when disabled, its open alerts recover."""
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
