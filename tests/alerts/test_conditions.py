"""Every type of condition: parsed from its document, refused when it does not fit, evaluated without guessing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.alerts.errors import RuleInvalid
from apps.alerts.rules.compile import make_override
from apps.alerts.rules.conditions import CONDITIONS, Bounds, Reading, parse_condition

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
#: Of each type: a document on a device, a sample that breaches it and one that clears it.
CASES: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "threshold": (
        {"metric": "device.cpu_pct", "operator": "gt", "threshold": 90, "recover": 80},
        95.0,
        70.0,
    ),
    "state": ({"metric": "ospf.neighbor.state", "is_not_one_of": ["full"]}, "Init", "Full"),
    "absence": ({"metric": "device.up", "lookback_seconds": 60}, None, 1.0),
}
ENTITY_TYPES = {"state": "ospf_neighbor"}


def document(type_name: str) -> dict[str, Any]:
    return {"type": type_name, **CASES[type_name][0]}


def parsed(type_name: str):
    return parse_condition(document(type_name), ENTITY_TYPES.get(type_name, "device"))


def reading(value, *, age: float = 5, is_late: bool = False) -> Reading:
    """A sample so many seconds old; None: the last one is an hour old."""
    ts = AT - timedelta(seconds=3600 if value is None else age)
    text = value if isinstance(value, str) else None
    number = None if isinstance(value, str) else value
    points = [] if number is None else [(ts, number)]
    return Reading(ts, number, text, is_late, points, lambda _: True)


@pytest.mark.parametrize("type_name", CONDITIONS)
class TestEveryType:
    def test_has_a_case_here(self, type_name):
        assert type_name in CASES

    def test_breaches_and_clears(self, type_name):
        _, bad, good = CASES[type_name]
        condition = parsed(type_name)

        breach = condition.evaluate(reading(bad), condition.bounds, AT)
        clear = condition.evaluate(reading(good), condition.bounds, AT)

        assert (breach.is_breach, breach.is_clear) == (True, False)
        assert (clear.is_breach, clear.is_clear) == (False, True)

    def test_a_late_sample_is_no_breach(self, type_name):
        bad = CASES[type_name][1]
        if bad is None:
            bad = 0.0
        evaluation = parsed(type_name).evaluate(reading(bad, is_late=True), None, AT)

        assert evaluation is None or not evaluation.is_breach

    @pytest.mark.parametrize("field", ["metric", "lookback_seconds"])
    def test_common_fields_are_checked(self, type_name, field):
        raw = {**document(type_name), field: {"no": "value"}}
        with pytest.raises(RuleInvalid, match=f"condition/{field}"):
            parse_condition(raw, ENTITY_TYPES.get(type_name, "device"))

    def test_every_own_field_is_checked(self, type_name):
        for field in CONDITIONS[type_name].properties:
            raw = {**document(type_name), field: {"no": "value"}}
            with pytest.raises(RuleInvalid, match=f"condition/{field}"):
                parse_condition(raw, ENTITY_TYPES.get(type_name, "device"))


@pytest.mark.parametrize(
    "number", [10**400, -(10**400), 10**305, 1e305, float("nan"), float("inf")]
)
def test_a_number_out_of_range_is_refused(number):
    for changes in ({"threshold": number}, {"recover": number}):
        with pytest.raises(RuleInvalid):
            parse_condition({**document("threshold"), **changes}, "device")
    with pytest.raises(RuleInvalid):
        make_override(level="tenant", changes={"threshold": number})


class TestThresholds:
    def test_between_them_it_neither_breaches_nor_clears(self):
        evaluation = parsed("threshold").evaluate(reading(85.0), None, AT)

        assert (evaluation.is_breach, evaluation.is_clear) == (False, False)

    def test_an_override_replaces_both(self):
        evaluation = parsed("threshold").evaluate(reading(85.0), Bounds(84, 50), AT)

        assert evaluation.is_breach

    def test_a_sample_outside_of_the_lookback_tells_nothing(self):
        assert parsed("threshold").evaluate(reading(95.0, age=60), None, AT) is None
        assert parsed("threshold").evaluate(reading(95.0, age=59.9), None, AT).is_breach


def test_an_absence_while_ingest_was_down_tells_nothing():
    absent = Reading(AT - timedelta(hours=1), 1.0, None, False, [], lambda _: False)

    assert parsed("absence").evaluate(absent, None, AT) is None
