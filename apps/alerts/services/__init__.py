"""Writes of alerts."""

from apps.alerts.errors import OverrideInvalid, RuleInvalid
from apps.alerts.services.evaluate import EVALUATE, evaluate_tenant
from apps.alerts.services.rules import (
    import_rules,
    install_pack,
    remove_override,
    set_enabled,
    set_override,
)

__all__ = [
    "EVALUATE",
    "OverrideInvalid",
    "RuleInvalid",
    "evaluate_tenant",
    "import_rules",
    "install_pack",
    "remove_override",
    "set_enabled",
    "set_override",
]
