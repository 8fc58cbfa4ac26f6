from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from apps.core import clock
from apps.telemetry import queries, store
from apps.telemetry.models import Event, Latest, TextChange
from apps.telemetry.store import EventRow, Sample, SeriesKey, TextSample
from apps.tenancy import acting_in

pytestmark = pytest.mark.django_db

DEVICE = UUID("5b0c8a36-4f2e-4a59-9a3e-0d3b6f1a2c4d")
CPU = SeriesKey("device", DEVICE, "device.cpu_pct")
STATE = SeriesKey("bgp_peer", DEVICE, "bgp.peer.state")


@pytest.fixture
def t0():
    return clock.now().replace(microsecond=0) - timedelta(minutes=10)


def write(at, *rows: tuple[int, float], key=CPU) -> store.WriteResult:
    return store.write_batch(
        samples=[Sample(key, at + timedelta(seconds=s), v) for s, v in rows],
        received_at=at + timedelta(minutes=10),
    )


def say(at, *rows: tuple[int, str]) -> store.WriteResult:
    return store.write_batch(
        texts=[TextSample(STATE, at + timedelta(seconds=s), w) for s, w in rows],
        received_at=at + timedelta(minutes=10),
    )


def window(at, key=CPU) -> list[tuple[int, float]]:
    result = queries.windows(
        metrics=[key.metric], since=at - timedelta(hours=1), until=at + timedelta(hours=1)
    )
    return [(int((ts - at).total_seconds()), v) for ts, v in result.get(key, [])]


class TestSamples:
    def test_are_returned_in_order_of_time(self, in_acme, t0):
        write(t0, (20, 3.0), (0, 1.0))
        write(t0, (10, 2.0))

        assert window(t0) == [(0, 1.0), (10, 2.0), (20, 3.0)]

    def test_one_per_series_and_time_and_the_last_write_wins(self, in_acme, t0):
        write(t0, (0, 1.0), (0, 2.0))
        write(t0, (0, 3.0))

        assert window(t0) == [(0, 3.0)]

    def test_latest_is_the_newest_sample_not_the_last_write(self, in_acme, t0):
        write(t0, (20, 3.0))
        write(t0, (10, 2.0))

        result = queries.latest(metrics=["device.cpu_pct"])

        assert (result[CPU].value, result[CPU].ts) == (3.0, t0 + timedelta(seconds=20))

    def test_another_tenant_sees_none_and_writes_its_own(self, acme, globex, t0):
        with acting_in(acme):
            write(t0, (0, 1.0))
        with acting_in(globex):
            assert window(t0) == []
            write(t0, (0, 9.0))
            assert window(t0) == [(0, 9.0)]
        with acting_in(acme):
            assert window(t0) == [(0, 1.0)]

    def test_partitions_are_not_accessible_to_the_app_role(self, in_acme, t0):
        write(t0, (0, 1.0))

        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ispvm_parts.sample_{t0:%Y%m%d}")

    def test_a_rolled_back_series_is_not_cached(self, acme, t0):
        with pytest.raises(ZeroDivisionError), acting_in(acme):
            write(t0, (0, 1.0))
            raise ZeroDivisionError

        with acting_in(acme):
            write(t0, (0, 2.0))
            assert window(t0) == [(0, 2.0)]


class TestTexts:
    def test_only_changes_are_stored(self, in_acme, t0):
        say(t0, (0, "established"), (10, "established"), (20, "idle"))
        say(t0, (30, "idle"))

        changes = TextChange.objects.order_by("ts").values_list("text", flat=True)

        assert list(changes) == ["established", "idle"]
        assert Latest.objects.get().ts == t0 + timedelta(seconds=30)

    def test_a_late_text_changes_nothing(self, in_acme, t0):
        say(t0, (20, "established"))
        say(t0, (10, "idle"))

        assert Latest.objects.get().text == "established"
        assert TextChange.objects.count() == 1

    def test_a_window_starts_with_the_value_before_it_and_ends_with_the_newest_sample(
        self, in_acme, t0
    ):
        say(t0, (0, "established"), (100, "idle"), (130, "idle"))

        result = queries.text_windows(
            metrics=["bgp.peer.state"],
            since=t0 + timedelta(seconds=50),
            until=t0 + timedelta(seconds=200),
        )

        assert [(int((ts - t0).total_seconds()), w) for ts, w in result[STATE]] == [
            (0, "established"),
            (100, "idle"),
            (130, "idle"),
        ]


class TestEvents:
    def test_a_repeated_event_is_stored_once(self, in_acme, t0):
        row = EventRow(uuid4(), t0, "device.rebooted", "warn", "device", DEVICE, {"old": 1})

        first = store.write_batch(events=[row, row], received_at=t0)
        again = store.write_batch(events=[row], received_at=t0)

        assert (first.events, again.events, Event.objects.count()) == (1, 0, 1)
        assert first.new_events == {(row.event_id, row.ts)}
        assert not again.new_events


class TestReading:
    def test_a_gap_in_a_range_stays_a_gap(self, in_acme, t0):
        write(t0, (0, 1.0), (1, 3.0), (50, 5.0))

        drawn = queries.buckets(key=CPU, start=t0, end=t0 + timedelta(seconds=60), max_points=6)

        assert [b.average for b in drawn] == [2.0, None, None, None, None, 5.0]
        assert drawn[0].count == 2

    def test_the_last_good_level_skips_values_below_the_minimum(self, in_acme, t0):
        sessions = SeriesKey("service", DEVICE, "pppoe.sessions.active")
        write(t0, (0, 120.0), (10, 118.0), (20, 0.0), (30, 0.0), key=sessions)

        levels = queries.last_values_at_least(
            metric="pppoe.sessions.active", before=t0 + timedelta(seconds=60)
        )

        assert levels == {DEVICE: 118.0}
