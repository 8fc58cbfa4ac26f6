"""The span of time in an address: what can be read is shown, whatever else is the default."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.pages.time_range import LONGEST, PRESETS, SHORTEST, time_range_param

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def asked(**query: str):
    return time_range_param(query, at=NOW, default="6h", keep=("chart",))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_ends_now(preset):
    span = asked(range=preset)

    assert (span.end - span.start, span.end, span.preset) == (PRESETS[preset], NOW, preset)


def test_a_span_of_ones_own_stands_as_it_is_and_says_so_again():
    span = asked(**{"from": "2026-11-25T08:00:00Z", "to": "2026-11-25T09:30:00Z", "range": "1h"})

    assert span.preset == ""
    assert span.end - span.start == timedelta(minutes=90)
    assert span.query == "from=2026-11-25T08%3A00%3A00Z&to=2026-11-25T09%3A30%3A00Z"


def test_what_lies_ahead_is_cut_off():
    span = asked(**{"from": "2026-11-25T11:00:00Z", "to": "2026-11-26T11:00:00Z"})

    assert span.end == NOW


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
    assert asked(**{"from": start, "to": end}).preset == "6h"


@given(start=st.text(max_size=40), end=st.text(max_size=40), preset=st.text(max_size=5))
def test_no_address_breaks_it(start, end, preset):
    span = asked(**{"from": start, "to": end, "range": preset})

    assert SHORTEST <= span.end - span.start <= LONGEST or span.end == NOW
    assert span.start < span.end <= NOW


@given(st.datetimes())
def test_no_moment_breaks_it(moment):
    span = asked(**{"from": moment.isoformat(), "to": "2026-11-25T09:00:00+23:59"})

    assert span.start < span.end <= NOW


def test_choices_keep_what_else_the_address_says():
    assert "chart=load" in asked(chart="load").choices[0].query
    assert "other" not in asked(chart="load", other="x").choices[0].query
