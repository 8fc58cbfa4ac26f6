"""Writes of alerts."""

from apps.alerts.errors import OverrideInvalid, PackUnknown, RuleInvalid
from apps.alerts.services.evaluate import EVALUATE, evaluate_tenant
from apps.alerts.services.overrides import remove_override, set_override
from apps.alerts.services.rules import import_rules, install_pack, set_enabled

__all__ = [
    "EVALUATE",
    "OverrideInvalid",
    "PackUnknown",
    "RuleInvalid",
    "evaluate_tenant",
    "import_rules",
    "install_pack",
    "remove_override",
    "set_enabled",
    "set_override",
]
