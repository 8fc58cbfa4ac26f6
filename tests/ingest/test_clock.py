"""A5: agents with a wrong clock. The server's clock is the reference; times of samples are corrected by the skew,
and the correction is recorded."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from django.db import connection

from apps.agents.models import Agent
from apps.core import clock
from apps.ingest.models import BatchReceipt
from apps.telemetry import queries, store
from apps.telemetry.models import Event
from apps.tenancy import acting_in
from tests.ingest.client import enroll, make_csr

pytestmark = pytest.mark.django_db

YEARS = timedelta(days=3652)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
#: Clock error -> whether it is alerted on and corrected.
CLOCKS = {
    "ten years behind": (-YEARS, True),
    "an hour behind": (-HOUR, True),
    "61 s behind": (-61 * SECOND, True),
    "12 s behind": (-12 * SECOND, True),
    "4 s behind": (-4 * SECOND, True),
    "right": (timedelta(0), False),
    "4 s ahead": (4 * SECOND, True),
    "12 s ahead": (12 * SECOND, True),
    "61 s ahead": (61 * SECOND, True),
    "an hour ahead": (HOUR, True),
    "ten years ahead": (YEARS, True),
}
NOT_BUFFERED = {"X-ISPVM-Waited": "0.0"}


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
        error, alarmed = CLOCKS[case]
        for _ in range(3):
            assert beat(fresh, clock.now() + error) == 200
        with acting_in(acme):
            events = list(Event.objects.filter(event_type="agent.clock.skewed"))
            assert len(events) == int(alarmed)
            for event in events:
                assert abs((event.ts - clock.now()).total_seconds()) < 60, "at the server's time"
            agent = Agent.objects.get()
            assert (agent.skewed_since is not None) == alarmed
            assert agent.clock_skew_seconds == pytest.approx(error.total_seconds(), abs=1)

        for _ in range(3):
            beat(fresh, clock.now())

        with acting_in(acme):
            assert Event.objects.filter(event_type="agent.clock.skewed").count() == 2 * alarmed
            assert Agent.objects.get().skewed_since is None

    @pytest.mark.parametrize("way", ["heartbeat", "batch", "both"])
    def test_a_sample_is_stored_at_its_true_time(self, fresh, acme, case, way):
        """From the first batch on, whether the skew is known from a heartbeat or from the batch itself."""
        error, corrected = CLOCKS[case]
        true = clock.now().replace(microsecond=0) - 2 * SECOND
        if way != "batch":
            beat(fresh, clock.now() + error)
        headers = NOT_BUFFERED if way != "heartbeat" else {}

        body = fresh.batch(
            sent_at=(clock.now() + error).isoformat(),
            metrics=[fresh.metric(at=true + error)],
            events=[fresh.event(ts=(true + error).isoformat())],
        )
        answer = fresh.post("batch", body, headers=headers).json()

        assert answer["accepted"] == {"metrics": 1, "events": 1}
        (stored,) = times(fresh, acme)
        assert abs(stored - true) <= SECOND
        with acting_in(acme):
            event = Event.objects.get(event_type="device.rebooted")
            recorded = BatchReceipt.objects.get().clock_skew_seconds
        assert abs(event.ts - true) <= SECOND
        assert recorded == pytest.approx(error.total_seconds() if corrected else 0, abs=1)
        assert answer["clock_skew_seconds"] == pytest.approx(recorded, abs=0.001)

    def test_renewal_uses_the_servers_time(self, fresh, case):
        error, _ = CLOCKS[case]
        assert beat(fresh, clock.now() + error) == 200

        answer = fresh.post("certificate", {"csr_pem": make_csr()})

        assert answer.status_code == 200
        end = datetime.fromisoformat(answer.json()["not_after"])
        assert abs(end - clock.now() - timedelta(days=30)) < HOUR


class TestOddTimes:
    def test_an_item_ahead_of_its_arrival_gets_the_time_of_its_arrival(self, fresh, acme):
        """A future reading would hide the ones of the present until its time has come."""
        before = clock.now()
        ahead = fresh.metric(1.0, at=before + 200 * SECOND)
        assert fresh.send(ahead).json()["accepted"]["metrics"] == 1
        (stored,) = times(fresh, acme)
        assert before <= stored <= clock.now()

        fresh.send(fresh.metric(2.0), sequence=2)

        assert latest(acme) == [2.0]

    def test_a_reading_of_the_present_replaces_one_of_the_future(self, fresh, acme):
        """As stored by a version that did not correct times."""
        with acting_in(acme):
            key = store.SeriesKey("device", fresh.device_id, "device.cpu_pct")
            state = store.SeriesKey("bgp_peer", fresh.device_id, "bgp.peer.state")
            later = clock.now() + 250 * SECOND
            store.write_batch(
                samples=[store.Sample(key, later, 1.0)],
                texts=[store.TextSample(state, later, "Idle")],
                received_at=later,
            )
            store.write_batch(
                samples=[store.Sample(key, clock.now(), 2.0)],
                texts=[store.TextSample(state, clock.now(), "Established")],
                received_at=clock.now(),
            )
            values = queries.latest(metrics=["device.cpu_pct", "bgp.peer.state"])

        assert {row.text or row.value for row in values.values()} == {2.0, "Established"}

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


def latest(tenant) -> list[float | None]:
    with acting_in(tenant):
        return [row.value for row in queries.latest(metrics=["device.cpu_pct"]).values()]


def test_the_cases_are_forty_and_more(record_property):
    cases = 5 * len(CLOCKS) + 3 + 11 + 7 + 1 + 1
    record_property("bar", f"A5: {cases} clocks at the server, and the agent's own in tests/agent")

    assert cases >= 40
