"""Sparklines and rates: gaps stay gaps, and impossible values are not shown."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.console.web.device_parts import bits
from apps.console.web.sparklines import spark
from apps.core import clock
from apps.inventory.models import Interface
from apps.telemetry import store
from apps.telemetry.queries import BucketedRange, buckets_of, rates_of
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in
from tests.inventory.factories import make_device


def test_a_gap_breaks_the_line_and_is_marked():
    line = spark([1.0, 2.0, None, None, 1.0])

    assert line.path.count("M") == 2
    assert [(gap.x, gap.width) for gap in line.gaps] == [("22.0", "66.0")]


def test_time_before_the_first_sample_is_no_gap():
    assert spark([None, None, 1.0, 2.0]).gaps == ()
    assert spark([None, 1.0]) is None
    assert spark([]) is None


def test_missing_samples_at_the_end_are_a_gap():
    assert len(spark([1.0, 1.0, None]).gaps) == 1


def test_a_line_of_zeros_is_drawn_at_the_bottom():
    assert spark([0.0, 0.0]).path == "M0.0 18.0L88.0 18.0"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1e9, "1 G"), (9.84e9, "9.8 G"), (9.4e8, "940 M"), (2.5e12, "2.5 T")],
)
def test_rates_have_si_prefixes(number, text):
    assert bits(number) == text


def write(key: SeriesKey, points: dict[float, float], now) -> None:
    store.write_batch(
        samples=[Sample(key, now - timedelta(seconds=ago), value) for ago, value in points.items()],
        received_at=now,
    )


@pytest.mark.django_db
def test_a_counter_that_went_back_or_was_not_read_is_a_gap(in_acme):
    now, device = clock.now(), make_device()
    key = SeriesKey("device", device.id, "bytes")
    write(key, {55: 100, 45: 300, 35: 10, 25: 110, 5: 910}, now)

    time_range = BucketedRange(start=now - timedelta(seconds=60), end=now, points=6)
    rates = rates_of(metrics=["bytes"], entity_ids=[device.id], time_range=time_range)

    assert rates[key] == [None, 20.0, None, 10.0, None, None]


@pytest.mark.django_db
def test_many_series_are_drawn_by_one_query(in_acme, django_assert_num_queries):
    now, device = clock.now(), make_device()
    keys = [SeriesKey("device", device.id, name) for name in ("a", "b")]
    for key in keys:
        write(key, {55: 1, 5: 3}, now)

    time_range = BucketedRange(start=now - timedelta(seconds=60), end=now, points=2)
    with django_assert_num_queries(1):
        drawn = buckets_of(metrics=["a", "b", "c"], entity_ids=[device.id], time_range=time_range)

    assert {key: [bucket.average for bucket in line] for key, line in drawn.items()} == {
        key: [1.0, 3.0] for key in keys
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("rates", "shown"), [(1e9, "53.3 M"), (1e15, "faint")])
def test_no_port_carries_more_than_its_speed(log_in, acme, acme_noc, rates, shown):
    now = clock.now()
    with acting_in(acme):
        device = make_device()
        port = Interface.objects.create(
            device=device, name="sfp1", speed_bps=10**10, source="discovered"
        )
        write(SeriesKey("interface", port.id, "interface.oper_up"), {1: 1.0}, now)
        counter = SeriesKey("interface", port.id, "interface.rx_bytes_total")
        write(counter, {225: 0.0, 75: rates}, now)

    body = log_in(acme_noc).get(reverse("console:device", args=[device.id])).content.decode()

    row = body[body.index(">sfp1<") :]
    cell = row[row.index('data-l="In"') :].partition("</td>")[0]
    assert shown in cell
