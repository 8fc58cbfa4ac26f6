"""The types of rule conditions. A new one is a module here and an entry below.

See docs/howto/add-a-rule-condition.md.
"""

from collections.abc import Mapping
from typing import Any

from apps.alerts.errors import RuleInvalid
from apps.alerts.rules.conditions.absence import Absence
from apps.alerts.rules.conditions.base import Bounds, Condition, Evaluation, Reading
from apps.alerts.rules.conditions.state import StateIs
from apps.alerts.rules.conditions.threshold import Threshold

__all__ = ["Bounds", "Condition", "Evaluation", "Reading", "parse_condition"]

CONDITIONS: Mapping[str, type[Condition]] = {
    condition.type_name: condition for condition in (Threshold, StateIs, Absence)
}
#: Names that the format of rules reserves for later versions.
RESERVED_TYPES = frozenset({"rate_of_change", "baseline", "forecast", "composite"})


def parse_condition(raw: Mapping[str, Any], entity_type: str) -> Condition:
    """The condition of a rule document. Raises RuleInvalid."""
    type_name = raw["type"]
    if isinstance(type_name, str) and type_name in CONDITIONS:
        return CONDITIONS[type_name].parse(raw, entity_type)
    if isinstance(type_name, str) and type_name in RESERVED_TYPES:
        raise RuleInvalid("condition_type_not_supported", f"{type_name} is not supported yet.")
    raise RuleInvalid(message=f"condition/type: {type_name!r} is not a condition type.")
