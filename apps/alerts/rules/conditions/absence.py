"""Condition ``absence``: no sample of a metric that had samples before: not monitored, which is not down."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from apps.alerts.messages import LAST_SAMPLE
from apps.alerts.rules.conditions.base import Bounds, Condition, Evaluation, Reading
from apps.core.messages import Message


@dataclass(frozen=True)
class Absence(Condition):
    """No sample within the lookback."""

    type_name: ClassVar[str] = "absence"

    def evaluate(self, reading: Reading, _: Bounds | None, at: datetime) -> Evaluation | None:
        """None where ingest was down within the lookback: samples may be missing because of that."""
        lookback = timedelta(seconds=self.lookback_seconds)
        absent_since = reading.ts + lookback
        is_absent = at >= absent_since
        if is_absent and not reading.ingest_was_up_since(at - lookback):
            return None
        time = f"{reading.ts:%H:%M:%S}"
        return Evaluation(
            is_breach=is_absent,
            is_clear=not is_absent,
            ts=absent_since if is_absent else reading.ts,
            value_text=f"last sample at {time}",
            message=Message(LAST_SAMPLE, {"time": time}),
            needs_confirmation=False,
        )
