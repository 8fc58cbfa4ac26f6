"""A5: agents with a wrong clock. The server's time decides; timestamps of samples are never changed."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from django.db import connection

from apps.agents.models import Agent
from apps.core import clock
from apps.telemetry.models import Event
from apps.tenancy import acting_in
from tests.ingest.client import enroll, make_csr

pytestmark = pytest.mark.django_db

YEARS = timedelta(days=3652)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
#: Clock error -> whether an event is expected, and the result for a sample with the agent's time.
CLOCKS = {
    "ten years behind": (-YEARS, True, "ts_too_old"),
    "an hour behind": (-HOUR, True, "stored"),
    "61 s behind": (-61 * SECOND, True, "stored"),
    "59 s behind": (-58 * SECOND, False, "stored"),
    "right": (timedelta(0), False, "stored"),
    "59 s ahead": (59 * SECOND, False, "stored"),
    "61 s ahead": (62 * SECOND, True, "stored"),
    "an hour ahead": (HOUR, True, "ts_in_future"),
    "ten years ahead": (YEARS, True, "ts_in_future"),
}


@pytest.fixture
def fresh(acme):
    return enroll(acme)


def beat(agent, at: datetime | str) -> int:
    when = at if isinstance(at, str) else at.isoformat()
    return agent.post("heartbeat", {"sent_at": when, "boot_id": str(agent.boot_id)}).status_code


def outcome(agent, ts: datetime | str, sequence: int = 1) -> str:
    """``stored``, or the code of the rejection; for an unreadable body also the status."""
    when = ts if isinstance(ts, str) else ts.isoformat()
    answer = agent.send(agent.metric() | {"ts": when}, sequence=sequence)
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.json()['code']}"
    rejected = answer.json()["rejected"]
    return rejected[0]["code"] if rejected else "stored"


def times(agent, acme) -> set[datetime]:
    """The times of the device's stored samples."""
    with acting_in(acme), connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.ts FROM telemetry_series s JOIN telemetry_sample p ON p.series_id = s.id"
            " WHERE s.entity_type = 'device'"
        )
        return {row[0] for row in cursor.fetchall()}


@pytest.mark.parametrize("case", CLOCKS)
class TestEachClock:
    def test_the_event_is_raised_once_and_cleared(self, fresh, acme, case):
        error, alarmed, _ = CLOCKS[case]
        for _ in range(3):
            assert beat(fresh, clock.now() + error) == 200
        with acting_in(acme):
            events = list(Event.objects.filter(event_type="agent.clock.skewed"))
            assert len(events) == int(alarmed)
            for event in events:
                assert abs((event.ts - clock.now()).total_seconds()) < 60, "at the server's time"
            assert (Agent.objects.get().skewed_since is not None) == alarmed

        beat(fresh, clock.now())

        with acting_in(acme):
            assert Event.objects.filter(event_type="agent.clock.skewed").count() == 2 * alarmed
            assert Agent.objects.get().skewed_since is None

    def test_a_sample_keeps_its_time_or_is_rejected(self, fresh, acme, case):
        error, _, expected = CLOCKS[case]
        ts = (clock.now() + error).replace(microsecond=0)

        assert outcome(fresh, ts) == expected
        assert times(fresh, acme) == ({ts} if expected == "stored" else set())

    def test_renewal_uses_the_servers_time(self, fresh, case):
        error, *_ = CLOCKS[case]
        assert beat(fresh, clock.now() + error) == 200

        answer = fresh.post("certificate", {"csr_pem": make_csr()})

        assert answer.status_code == 200
        end = datetime.fromisoformat(answer.json()["not_after"])
        assert abs(end - clock.now() - timedelta(days=30)) < HOUR


class TestOddTimes:
    def test_a_clock_jump_during_a_batch_costs_only_the_wrong_items(self, fresh, acme):
        now = clock.now().replace(microsecond=0)
        stamps = [now - 2 * SECOND, now + HOUR, now - SECOND, now - YEARS, now]
        metrics = [fresh.metric() | {"ts": ts.isoformat()} for ts in stamps]

        answer = fresh.send(*metrics).json()

        assert [(r["index"], r["code"]) for r in answer["rejected"]] == [
            (1, "ts_in_future"),
            (3, "ts_too_old"),
        ]
        assert times(fresh, acme) == {now - 2 * SECOND, now - SECOND, now}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2016-12-31T23:59:60Z", "400 bad_json"),
            ("2026-06-30T23:59:60Z", "400 bad_json"),
            ("2038-01-19T03:14:07Z", "ts_in_future"),
            ("2038-01-19T03:14:08Z", "ts_in_future"),
            ("2106-02-07T06:28:16Z", "ts_in_future"),
            ("1970-01-01T00:00:00Z", "ts_too_old"),
            ("1969-12-31T23:59:59Z", "ts_too_old"),
            ("0001-01-01T00:00:00Z", "ts_too_old"),
            ("9999-12-31T23:59:59Z", "ts_in_future"),
            ("2026-13-01T00:00:00Z", "400 bad_json"),
            ("yesterday", "400 bad_json"),
        ],
    )
    def test_implausible_times_are_rejected(self, fresh, acme, text, expected):
        result = outcome(fresh, text)

        assert result.split()[0] == expected.split()[0]
        assert times(fresh, acme) == set()

    @pytest.mark.parametrize("hours", [-12, -5, 0, 1, 2, 5.75, 14])
    def test_utc_offsets_do_not_change_the_moment(self, fresh, acme, hours):
        """The same moment in other time zones or seasons."""
        moment = clock.now().replace(microsecond=0)
        wall = moment.astimezone(timezone(timedelta(hours=hours)))

        assert outcome(fresh, wall) == "stored"
        assert times(fresh, acme) == {moment}

    def test_a_time_without_an_offset_is_rejected(self, fresh, acme):
        result = outcome(fresh, clock.now().replace(tzinfo=None))

        assert result != "stored"
        assert times(fresh, acme) == set()

    def test_the_response_has_the_servers_time(self, fresh):
        answer = fresh.post(
            "heartbeat",
            {
                "sent_at": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC).isoformat(),
                "boot_id": str(uuid4()),
            },
        )

        result = datetime.fromisoformat(answer.json()["server_time"])
        assert abs(result - clock.now()) < 60 * SECOND


def test_the_cases_are_forty_and_more(record_property):
    cases = 3 * len(CLOCKS) + 1 + 11 + 7 + 1 + 1
    record_property("bar", f"A5: {cases} clocks at the server, and the agent's own in tests/agent")

    assert cases >= 40
