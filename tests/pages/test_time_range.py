"""The span of time in an address: what can be read is shown, whatever else is the default."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.pages.time_range import LONGEST, PRESETS, SHORTEST, time_range_param

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def range_of(**query: str):
    return time_range_param(query, at=NOW, default="6h", keep=("chart",))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_ends_now(preset):
    time_range = range_of(range=preset)

    assert (time_range.end - time_range.start, time_range.end, time_range.preset) == (
        PRESETS[preset],
        NOW,
        preset,
    )


def test_a_custom_range_round_trips():
    time_range = range_of(
        **{"from": "2026-11-25T08:00:00Z", "to": "2026-11-25T09:30:00Z", "range": "1h"}
    )

    assert time_range.preset == ""
    assert time_range.end - time_range.start == timedelta(minutes=90)
    assert time_range.query == "from=2026-11-25T08%3A00%3A00Z&to=2026-11-25T09%3A30%3A00Z"


def test_the_future_is_cut_off():
    time_range = range_of(**{"from": "2026-11-25T11:00:00Z", "to": "2026-11-26T11:00:00Z"})

    assert time_range.end == NOW


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-25T09:00:00Z", "2026-11-25T08:00:00Z"),
        ("2026-11-25T09:00:00Z", "2026-11-25T09:00:30Z"),
        ("2020-01-01T00:00:00Z", "2026-11-25T09:00:00Z"),
        ("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"),
        ("2026-13-45T99:00:00Z", "2026-11-25T09:00:00Z"),
        ("yesterday", "now"),
        ("", "2026-11-25T09:00:00Z"),
    ],
)
def test_nonsense_is_the_default(start, end):
    assert range_of(**{"from": start, "to": end}).preset == "6h"


@given(start=st.text(max_size=40), end=st.text(max_size=40), preset=st.text(max_size=5))
def test_no_query_string_breaks_it(start, end, preset):
    time_range = range_of(**{"from": start, "to": end, "range": preset})

    assert SHORTEST <= time_range.end - time_range.start <= LONGEST or time_range.end == NOW
    assert time_range.start < time_range.end <= NOW


@given(st.datetimes())
def test_no_time_breaks_it(moment):
    time_range = range_of(**{"from": moment.isoformat(), "to": "2026-11-25T09:00:00+23:59"})

    assert time_range.start < time_range.end <= NOW


def test_presets_keep_other_parameters():
    assert "chart=load" in range_of(chart="load").choices[0].query
    assert "other" not in range_of(chart="load", other="x").choices[0].query
