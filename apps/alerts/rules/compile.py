"""A rule's JSON, checked and compiled. Pure. No eval, no templates with attribute access."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from agent.protocol.registry import ENTITY_TYPES
from apps.alerts.errors import RuleInvalid
from apps.alerts.rules.conditions import parse_condition
from apps.alerts.rules.conditions.base import find_metric, is_number
from apps.alerts.rules.program import (
    STATE_CHANGE_EVENTS,
    Flap,
    Gate,
    Level,
    Override,
    Rule,
    Scope,
    Timing,
)

SUMMARY_FIELDS = frozenset({"entity.name", "device.name", "value", "threshold", "state"})
OVERRIDABLE = frozenset({"threshold", "recover", "for_seconds", "enabled"})

_SEVERITY = {"enum": ["info", "warn", "critical"]}
_SECONDS = {"type": "number", "minimum": 0, "maximum": 30 * 86_400}
_STRINGS = {"type": "array", "items": {"type": "string", "maxLength": 100}, "maxItems": 200}

RULE_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ISPVisualMonitor alert rule",
    "type": "object",
    "required": ["id", "name", "rule_schema_version", "severity", "scope", "condition"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]{2,60}$"},
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "enabled": {"type": "boolean"},
        "rule_schema_version": {"const": "1.0"},
        "pack": {"type": "string", "maxLength": 60},
        "version": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
        "symptom": {"type": "string", "maxLength": 40},
        "severity": {
            "oneOf": [
                _SEVERITY,
                {"type": "object", "minProperties": 1, "additionalProperties": _SEVERITY},
            ],
        },
        "scope": {
            "type": "object",
            "required": ["by_entity_type"],
            "additionalProperties": False,
            "properties": {
                "by_entity_type": {"enum": list(ENTITY_TYPES)},
                "by_roles": _STRINGS,
                "by_tags": _STRINGS,
                "by_site_ids": _STRINGS,
                "by_device_ids": _STRINGS,
                "only_linked": {"type": "boolean"},
            },
        },
        "condition": {"type": "object", "required": ["type"]},
        "gate": {
            "type": "object",
            "required": ["metric", "equals"],
            "additionalProperties": False,
            "properties": {"metric": {"type": "string"}, "equals": {"type": "number"}},
        },
        "for_seconds": _SECONDS,
        "recover_for_seconds": _SECONDS,
        "cooldown_seconds": _SECONDS,
        "flap": {
            "type": "object",
            "required": ["transitions", "window_seconds"],
            "additionalProperties": False,
            "properties": {
                "transitions": {"type": "integer", "minimum": 1, "maximum": 1000},
                "window_seconds": {"type": "number", "minimum": 10, "maximum": 86_400},
                "quiet_seconds": {"type": "number", "minimum": 1, "maximum": 86_400},
            },
        },
        "annotations": {
            "type": "object",
            "properties": {
                "summary_template": {"type": "string", "maxLength": 500},
                "description": {"type": "string", "maxLength": 2000},
                "runbook": {"type": "string", "maxLength": 200},
            },
        },
        "notify_policy": {"type": "string"},
        "overrides": {
            "type": "array",
            "maxItems": 500,
            "items": {
                "type": "object",
                "required": ["level", "changes"],
                "additionalProperties": False,
                "properties": {
                    "level": {"enum": [level.value for level in Level]},
                    "target": {"type": "string", "maxLength": 100},
                    "changes": {"type": "object", "minProperties": 1},
                },
            },
        },
    },
}

_validator = Draft202012Validator(RULE_SCHEMA)


def compile_rule(document: Mapping[str, Any]) -> Rule:
    """Compile a rule document. Raises RuleInvalid with the path of the first error."""
    error = next(iter(sorted(_validator.iter_errors(document), key=lambda e: list(e.path))), None)
    if error is not None:
        path = "/".join(map(str, error.path)) or "rule"
        raise RuleInvalid(message=f"{path}: {error.message[:300]}")
    scope = _scope(document["scope"])
    severity = document["severity"]
    by_role = severity if isinstance(severity, Mapping) else {}
    annotations = document.get("annotations", {})
    summary = annotations.get("summary_template", document["name"])
    _check_summary(summary)
    return Rule(
        key=document["id"],
        name=document["name"],
        pack=document.get("pack", ""),
        version=document.get("version", 1),
        symptom=document.get("symptom", "soft"),
        is_enabled=document.get("enabled", True),
        severity=by_role.get("default", "warn") if by_role else severity,
        severity_by_role=dict(by_role),
        scope=scope,
        condition=parse_condition(document["condition"], scope.entity_type),
        gate=_gate(document.get("gate"), scope.entity_type),
        timing=Timing(
            document.get("for_seconds", 0),
            document.get("recover_for_seconds", 0),
            document.get("cooldown_seconds", 0),
        ),
        overrides=tuple(make_override(**item) for item in document.get("overrides", ())),
        summary=summary,
        runbook=annotations.get("runbook", ""),
        flap=_flap(document.get("flap"), document["condition"].get("metric")),
    )


def make_override(
    *, level: str, changes: Mapping[str, Any], target: str = "", label: str = ""
) -> Override:
    """A validated override. Raises RuleInvalid."""
    unknown = changes.keys() - OVERRIDABLE
    if unknown or not changes:
        raise RuleInvalid(message=f"An override may change {', '.join(sorted(OVERRIDABLE))}.")
    for name, value in changes.items():
        is_valid = isinstance(value, bool) if name == "enabled" else is_number(value)
        if not is_valid or (name == "for_seconds" and not 0 <= value <= _SECONDS["maximum"]):
            raise RuleInvalid(message=f"{name}: {value!r} is not a valid value.")
    if (level == Level.TENANT) == bool(target):
        raise RuleInvalid(
            message="An override needs a target, except at tenant level, where it takes none."
        )
    return Override(Level(level), target, dict(changes), label)


def _scope(raw: Mapping[str, Any]) -> Scope:
    return Scope(
        entity_type=raw["by_entity_type"],
        roles=frozenset(raw.get("by_roles", ())),
        tags=frozenset(raw.get("by_tags", ())),
        site_ids=frozenset(raw.get("by_site_ids", ())),
        device_ids=frozenset(raw.get("by_device_ids", ())),
        only_linked=raw.get("only_linked", False),
    )


def _gate(raw: Mapping[str, Any] | None, entity_type: str) -> Gate | None:
    if raw is None:
        return None
    if not is_number(raw["equals"]):
        raise RuleInvalid(message="gate/equals: out of range.")
    return Gate(find_metric(raw["metric"], entity_type, is_text=False), float(raw["equals"]))


def _flap(raw: Mapping[str, Any] | None, metric: Any) -> Flap | None:
    """``quiet_seconds`` defaults to a third of the window."""
    if raw is None:
        return None
    if metric not in STATE_CHANGE_EVENTS:
        raise RuleInvalid(message=f"flap: changes of {metric} are not reported.")
    window = float(raw["window_seconds"])
    quiet = float(raw.get("quiet_seconds", window / 3))
    if quiet > window:
        raise RuleInvalid(message="flap/quiet_seconds: at most the window.")
    return Flap(raw["transitions"], window, quiet)


def _check_summary(template: str) -> None:
    for part in template.split("{")[1:]:
        name, brace, _ = part.partition("}")
        if not brace or name not in SUMMARY_FIELDS:
            raise RuleInvalid(message=f"summary_template: {{{name[:40]}}} is not a known field.")


def render_summary(template: str, fields: Mapping[str, str]) -> str:
    """Fill in a summary template by plain replacement; nothing is evaluated."""
    for name in SUMMARY_FIELDS:
        template = template.replace(f"{{{name}}}", fields.get(name, ""))
    return template
