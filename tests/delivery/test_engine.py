"""The engine with a channel that only these tests have: what a lease holds, and what each verdict means."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.audit.models import Record
from apps.core import clock
from apps.delivery import services
from apps.delivery.choices import DeadReason, DeliveryState, EventType, Outcome, PauseReason
from apps.delivery.models import Attempt, Delivery, Destination
from apps.delivery.services import delivering
from apps.delivery.services.leasing import lease_due
from apps.delivery.services.settling import settle
from apps.events.subscriptions import Event
from apps.incidents.models import TimelineEntry
from apps.tenancy import acting_in
from tests.accounts.rows import incident as make_incident
from tests.delivery.recording import (
    ACCEPTED,
    GONE,
    REFUSED,
    REJECTED,
    TIMED_OUT,
    RecordingChannel,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def destination(acme) -> Destination:
    with acting_in(acme):
        return services.create_destination(channel="webhook", name="on call")


@pytest.fixture
def queue(acme, destination) -> Callable[[int], None]:
    """Queues so many messages, in their order."""

    def add(count: int, **fields) -> None:
        now = clock.now() - timedelta(minutes=1)
        with acting_in(acme):
            for n in range(count):
                services.add_delivery(
                    destination=destination,
                    event_id=uuid4(),
                    event_type=fields.get("event_type", EventType.INCIDENT_UPDATED),
                    body=f"message {n}".encode(),
                    at=now + timedelta(seconds=n / 10),
                    incident=fields.get("incident"),
                )

    return add


def deliver(destination: Destination, channel: RecordingChannel, at=None) -> int:
    return services.deliver_due(
        tenant_id=destination.tenant_id,
        destination_id=destination.id,
        channel=channel,
        rng=random.Random(1),
        now=clock.now if at is None else lambda: at,
    )


def lease(destination: Destination, channel: RecordingChannel, most: int = 20):
    return lease_due(
        tenant_id=destination.tenant_id,
        destination_id=destination.id,
        most=most,
        at=clock.now(),
        channel=channel,
    )


def in_order(tenant) -> list[Delivery]:
    with acting_in(tenant):
        return list(Delivery.objects.order_by("created_at"))


def numbered(count: int, of_number: dict[int, Any]) -> RecordingChannel:
    """Accepts ``count`` messages but for those with another answer, by their number from 0."""
    answers = iter([of_number.get(n, ACCEPTED) for n in range(count)])
    return RecordingChannel(lambda _: next(answers))


class TestLease:
    def test_grows_while_the_receiver_keeps_up(self, acme, destination, queue):
        queue(30)
        channel = RecordingChannel()

        assert deliver(destination, channel) == 30

        assert channel.leases == 5, "1, 2, 4, 8 and 15"
        assert [job.body for job in channel.sent] == [f"message {n}".encode() for n in range(30)]
        assert {row.state for row in in_order(acme)} == {DeliveryState.DELIVERED}

    def test_holds_no_more_than_the_channel_allows(self, destination, queue):
        queue(5)
        channel = RecordingChannel(max_lease=1)

        assert deliver(destination, channel) == 5
        assert channel.leases == 5

    def test_has_every_attempt_on_record_before_it_is_sent(self, acme, destination, queue):
        queue(7)

        def check(job):
            with acting_in(acme):
                attempt = Attempt.objects.get(pk=job.attempt_id)
            assert (attempt.outcome, attempt.finished_at) == (Outcome.SENDING, None)
            assert (attempt.delivery_id, attempt.number) == (job.delivery_id, 1)
            return ACCEPTED

        assert deliver(destination, RecordingChannel(check)) == 7

    def test_costs_as_many_statements_for_sixteen_as_for_two(self, destination, queue):
        def statements(count: int) -> int:
            queue(count)
            with CaptureQueriesContext(connection) as captured:
                held = lease(destination, RecordingChannel(), most=count)
                results = [(job, ACCEPTED) for job in held.jobs]
                settle(lease=held, results=results, at=clock.now(), rng=random.Random(1))
            assert len(results) == count
            return len(captured)

        assert statements(2) == statements(16) <= 18

    def test_is_released_when_its_time_is_over(self, acme, destination, queue, monkeypatch):
        queue(4)
        channel = RecordingChannel()
        monkeypatch.setattr(delivering, "LEASE_SECONDS", -1.0)
        held = lease(destination, channel)

        results = delivering._send(held, now=clock.now)
        settle(lease=held, results=results, at=clock.now(), rng=random.Random(1))

        assert len(held.jobs) == 4
        assert len(channel.sent) == 1
        first, *others = in_order(acme)
        assert (first.state, first.attempt_count) == (DeliveryState.DELIVERED, 1)
        assert {(row.state, row.attempt_count, row.lease_token) for row in others} == {
            (DeliveryState.PENDING, 0, None)
        }
        with acting_in(acme):
            assert Attempt.objects.get().delivery_id == first.id
        assert deliver(destination, channel) == 3
        assert {job.number for job in channel.sent} == {1}

    def test_ends_with_the_first_timeout(self, destination, queue):
        queue(5)
        channel = RecordingChannel(lambda _: TIMED_OUT)
        held = lease(destination, channel)

        results = delivering._send(held, now=clock.now)
        settle(lease=held, results=results, at=clock.now(), rng=random.Random(1))

        assert len(results) == 1
        assert len(lease(destination, channel).jobs) == 1, "a slow receiver gets one at a time"
        assert lease(destination, channel) is None

    def test_taken_by_another_sender_keeps_the_results_of_the_rest(self, acme, destination, queue):
        queue(3)
        channel = RecordingChannel()
        held = lease(destination, channel)
        taken = held.jobs[1]
        with acting_in(acme):
            Delivery.objects.filter(pk=taken.delivery_id).update(lease_token=uuid4())

        results = [(job, ACCEPTED) for job in held.jobs]
        recorded = settle(lease=held, results=results, at=clock.now(), rng=random.Random(1))

        assert recorded == 2
        assert [row.state for row in in_order(acme)] == [
            DeliveryState.DELIVERED,
            DeliveryState.LEASED,
            DeliveryState.DELIVERED,
        ]
        with acting_in(acme):
            assert Attempt.objects.filter(outcome=Outcome.DELIVERED).count() == 3

    def test_of_another_sender_is_not_released(self, acme, destination, queue):
        """Its own lease expired, and the delivery is being sent again."""
        queue(2)
        held = lease(destination, RecordingChannel())
        with acting_in(acme):
            other = uuid4()
            Delivery.objects.update(lease_token=other)

        settle(lease=held, results=[], at=clock.now(), rng=random.Random(1))

        assert {(row.state, row.lease_token) for row in in_order(acme)} == {
            (DeliveryState.LEASED, other)
        }

    def test_is_one_of_at_most_four(self, destination, queue):
        queue(10)
        held = [lease(destination, RecordingChannel(), most=2) for _ in range(5)]

        assert [None if one is None else len(one.jobs) for one in held] == [2, 2, 2, 2, None]


class TestVerdicts:
    def test_each_result_of_a_lease_is_recorded_for_its_own_delivery(
        self, acme, destination, queue
    ):
        queue(4)
        at = clock.now()
        channel = numbered(5, {1: REJECTED, 2: REFUSED})

        assert deliver(destination, channel, at=at) == 5

        first, second, third, fourth = in_order(acme)
        assert (first.state, fourth.state) == (DeliveryState.DELIVERED, DeliveryState.DELIVERED)
        assert (first.delivered_at, first.next_attempt_at) == (at, None)
        assert third.state == DeliveryState.DEAD
        assert (third.dead_reason, third.dead_at) == (DeadReason.REFUSED, at)
        # The receiver has recovered: it gets the rejected one at once.
        assert (second.state, second.failure_count) == (DeliveryState.DELIVERED, 1)
        with acting_in(acme):
            attempts = Attempt.objects.order_by("started_at", "number")
            codes = dict(attempts.values_list("delivery_id", "error_code").distinct())
            row = Destination.objects.get()
        assert codes[third.id] == "too_long"
        assert (row.pause_reason, row.failing_since, row.last_success_at) == ("", None, at)

    def test_refused_ends_one_delivery_and_not_the_destination(self, acme, destination, queue):
        queue(2)

        assert deliver(destination, numbered(2, {0: REFUSED})) == 2

        assert [row.state for row in in_order(acme)] == [
            DeliveryState.DEAD,
            DeliveryState.DELIVERED,
        ]

    def test_gone_sends_nothing_more_and_dead_letters_the_rest_of_the_lease(
        self, acme, destination, queue
    ):
        queue(9)
        channel = numbered(9, {4: GONE})

        assert deliver(destination, channel) == 5

        states = [(row.state, row.dead_reason) for row in in_order(acme)]
        assert states[:4] == [(DeliveryState.DELIVERED, "")] * 4
        assert states[4:] == [(DeliveryState.DEAD, DeadReason.ENDPOINT_PAUSED)] * 5
        with acting_in(acme):
            assert Destination.objects.get().pause_reason == PauseReason.GONE
            audited = Record.objects.get(action="webhook_endpoint.paused")
        assert audited.detail == {"reason": "gone", "dead_letters": 4}

    def test_results_are_on_the_timelines_of_their_incidents(self, acme, destination, queue):
        with acting_in(acme):
            incident_id = make_incident()
        queue(1, incident={"id": uuid4(), "sequence": 1})
        queue(2, incident={"id": incident_id, "sequence": 1})

        deliver(destination, numbered(3, {2: REFUSED}))

        with acting_in(acme):
            entries = TimelineEntry.objects.order_by("message__code")
            texts = [str(entry.message) for entry in entries]
            details = {entry.detail["state"] for entry in entries}
        assert len(texts) == 2
        assert details == {"delivered", "dead"}
        assert all("on call" in text for text in texts)

    @pytest.mark.parametrize(
        ("act", "state", "reason"),
        [
            (services.pause_destination, DeliveryState.PENDING, ""),
            (services.delete_destination, DeliveryState.DEAD, DeadReason.ENDPOINT_DELETED),
        ],
    )
    def test_what_a_lease_gives_back_follows_a_pause_or_deletion_meanwhile(
        self, acme, actor, destination, queue, act, state, reason
    ):
        queue(3)
        held = lease(destination, RecordingChannel())
        with acting_in(acme):
            act(destination=destination, actor=actor, at=clock.now())

        settle(lease=held, results=[(held.jobs[0], ACCEPTED)], at=clock.now(), rng=random.Random(1))

        first, *others = in_order(acme)
        assert first.state == DeliveryState.DELIVERED
        assert {(row.state, row.dead_reason) for row in others} == {(state, reason)}


class TestFanOut:
    def test_queues_what_the_channel_renders_and_nothing_for_others(self, acme, destination):
        with acting_in(acme):
            services.create_destination(channel="webhook", name="off call")
            incident_id = make_incident()
            payload = {"id": incident_id, "sequence": 1, "title": "cr1 is down"}
            event = Event(
                uuid4(), acme.id, "incident.opened", str(incident_id), payload, clock.now()
            )
            count = services.fan_out(channel=RecordingChannel(), event=event, at=clock.now())
            delivery = Delivery.objects.get()

        assert count == 1
        assert delivery.destination_id == destination.id
        assert bytes(delivery.body) == b"incident.opened cr1 is down"

    def test_a_test_goes_through_the_queue_and_is_not_retried(self, acme, actor, destination):
        with acting_in(acme):
            sent = Destination.objects.get()
            body = RecordingChannel().render_test(sent, event_id=uuid4(), at=clock.now())
            services.add_delivery(
                destination=sent,
                event_id=uuid4(),
                event_type=EventType.PING,
                body=body,
                at=clock.now(),
            )

        assert deliver(destination, RecordingChannel(lambda _: REJECTED)) == 1
        assert in_order(acme)[0].dead_reason == DeadReason.TEST_FAILED
