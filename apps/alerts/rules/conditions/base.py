"""What every rule condition is: its schema, how it is parsed, and how it is evaluated at one moment. Pure.

Missing data is neither a breach nor a recovery: samples older than the lookback are ignored, and the alert keeps its
state. Only an absence condition fires on missing data.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

from jsonschema import Draft202012Validator

from agent.protocol.registry import METRICS
from apps.alerts.errors import RuleInvalid
from apps.core.messages import Message

Points = Sequence[tuple[datetime, float]]

MAX_NUMBER = 1e300
DEFAULT_LOOKBACK_SECONDS = 60
NUMBER: Mapping[str, Any] = {"type": "number"}
_COMMON: Mapping[str, Any] = {
    "metric": {"type": "string"},
    "lookback_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 7 * 86_400},
}


class Bounds(NamedTuple):
    """The threshold of a breach and that of a recovery (hysteresis), in the metric's unit."""

    threshold: float
    recover: float


@dataclass(frozen=True)
class Reading:
    """What is known of a metric on one entity: its newest sample, and its points where the condition reads history."""

    ts: datetime
    value: float | None
    text: str | None
    #: It was buffered on the way: it says nothing about the current state, newer ones are still to come.
    is_late: bool
    points: Points
    #: Whether ingest was up since a time: where it was not, samples may be missing because of that.
    ingest_was_up_since: Callable[[datetime], bool]


@dataclass(frozen=True)
class Evaluation:
    """Result of a condition. ``is_breach`` and ``is_clear`` may both be false: between the two thresholds."""

    is_breach: bool
    is_clear: bool
    # Timestamp of the deciding sample; for an absence, when the lookback ran out.
    ts: datetime
    #: The value in English; where it is a sentence, ``message`` has it for readers.
    value_text: str
    value: float | None = None
    message: Message | None = None
    # A breach by value needs a second sample; an absence does not.
    needs_confirmation: bool = True


@dataclass(frozen=True)
class Condition(ABC):
    """A condition on one metric of the rule's entity type, with the name of its type in rule documents."""

    metric: str
    lookback_seconds: float

    type_name: ClassVar[str]
    #: Its own fields in a rule document, as JSON Schema.
    properties: ClassVar[Mapping[str, Any]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    #: Whether it needs a text metric or a numeric one; None for either.
    needs_text: ClassVar[bool | None] = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any], entity_type: str) -> Self:
        """From a rule document. Raises RuleInvalid, which names the field."""
        _check_schema(raw, cls._validator())
        metric = find_metric(raw["metric"], entity_type, is_text=cls.needs_text)
        return cls(
            metric=metric,
            lookback_seconds=raw.get("lookback_seconds", DEFAULT_LOOKBACK_SECONDS),
            **cls._own_fields(raw),
        )

    @classmethod
    @cache
    def _validator(cls) -> Draft202012Validator:
        """Built once: every pass of evaluation compiles every rule."""
        properties = {**_COMMON, **cls.properties}
        return Draft202012Validator(
            {"properties": properties, "required": ["metric", *cls.required]}
        )

    @classmethod
    def _own_fields(cls, _: Mapping[str, Any], /) -> dict[str, Any]:
        """The fields that this type adds, from a document that fits its schema."""
        return {}

    @property
    def bounds(self) -> Bounds | None:
        """The thresholds that overrides may change; None for a condition without."""
        return None

    @property
    def history_seconds(self) -> float:
        """How much of the past it reads beside the newest sample."""
        return 0.0

    @abstractmethod
    def evaluate(
        self, reading: Reading, bounds: Bounds | None, at: datetime, /
    ) -> Evaluation | None:
        """The result at ``at`` with these thresholds; None where the samples do not tell."""

    def is_fresh(self, ts: datetime, at: datetime) -> bool:
        """Whether a sample of that time is within the lookback. One that is ahead of ``at`` is the newest there is: the
        clocks of the hosts that store and that evaluate may differ."""
        return at - timedelta(seconds=self.lookback_seconds) < ts


def _check_schema(raw: Mapping[str, Any], validator: Draft202012Validator) -> None:
    error = next(
        iter(sorted(validator.iter_errors(raw), key=lambda e: list(map(str, e.path)))), None
    )
    if error is not None:
        path = "/".join(["condition", *map(str, error.path)])
        raise RuleInvalid(message=f"{path}: {error.message[:300]}")
    for name, value in raw.items():
        if _is_numeric(value) and not is_number(value):
            raise RuleInvalid(message=f"condition/{name}: out of range.")


def find_metric(name: Any, entity_type: str, *, is_text: bool | None) -> str:
    """The registry's metric of this name. Raises RuleInvalid."""
    metric = METRICS.get(name) if isinstance(name, str) else None
    if metric is None or metric.entity_type != entity_type:
        raise RuleInvalid(
            message=f"condition/metric: {name!r} is not a metric of entity type {entity_type}."
        )
    if is_text is not None and metric.is_text != is_text:
        raise RuleInvalid(
            message=f"condition/metric: {name} {'is' if metric.is_text else 'is not'} text."
        )
    return metric.name


def is_number(value: Any) -> bool:
    """A finite number, not a boolean."""
    # NaN fails the comparison; an integer may be too large for a float.
    return _is_numeric(value) and abs(value) < MAX_NUMBER


def _is_numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
