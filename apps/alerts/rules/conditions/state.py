"""Condition ``state``: a text metric that is, or is not, one of some values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from apps.alerts.errors import RuleInvalid
from apps.alerts.rules.conditions.base import Bounds, Condition, Evaluation, Reading

_TEXTS: Mapping[str, Any] = {"type": "array", "minItems": 1, "items": {"type": "string"}}


@dataclass(frozen=True)
class StateIs(Condition):
    """A text metric that is (or is not) one of these values, in lower case."""

    values: frozenset[str]
    is_bad_when_listed: bool

    type_name: ClassVar[str] = "state"
    properties: ClassVar[Mapping[str, Any]] = {"is_one_of": _TEXTS, "is_not_one_of": _TEXTS}
    needs_text: ClassVar[bool | None] = True

    @classmethod
    def _own_fields(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        is_listed = "is_one_of" in raw
        values = raw.get("is_one_of" if is_listed else "is_not_one_of")
        if values is None:
            raise RuleInvalid(message="condition: is_one_of or is_not_one_of must list strings.")
        return {
            "values": frozenset(value.lower() for value in values),
            "is_bad_when_listed": is_listed,
        }

    def evaluate(self, reading: Reading, _: Bounds | None, at: datetime) -> Evaluation | None:
        """By the newest text value; None when it is older than the lookback."""
        if reading.is_late or not self.is_fresh(reading.ts, at):
            return None
        text = reading.text or ""
        is_bad = (text.lower() in self.values) == self.is_bad_when_listed
        return Evaluation(is_breach=is_bad, is_clear=not is_bad, ts=reading.ts, value_text=text)
