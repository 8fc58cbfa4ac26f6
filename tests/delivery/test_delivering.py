"""The whole delivery against receivers on loopback, with one worker."""

import json
import time
from datetime import timedelta

import pytest
from django.db import transaction

from apps.core import clock
from apps.delivery.choices import DeadReason, DeliveryState, Outcome, PauseReason
from apps.delivery.models import Attempt, Delivery, Destination
from apps.delivery.retries import DELAYS_SECONDS
from apps.delivery.services import delivering
from apps.delivery.services.leasing import lease_due
from apps.delivery.services.scheduling import DELIVER
from apps.events.models import Due
from apps.tenancy import acting_in
from apps.webhooks.models import Endpoint
from apps.webhooks.receiver.verifier import verify
from tests.core.http.servers import ScriptedServer, answer, raw, read_request, reset
from tests.supervisor.waiting import HANG_SECONDS
from tests.webhooks.conftest import deliver, emit_incident
from tests.webhooks.receivers import hang, send_slowly

pytestmark = pytest.mark.django_db(transaction=True)


def parse(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}, body


def only_delivery(tenant) -> Delivery:
    with acting_in(tenant):
        return Delivery.objects.select_related("destination").get()


def attempts(tenant) -> list[Attempt]:
    with acting_in(tenant):
        return list(Attempt.objects.order_by("number"))


class TestDelivered:
    def test_with_signatures_that_an_independent_verifier_accepts(
        self, acme, server, make_endpoint
    ):
        endpoint = make_endpoint(server.url)
        event_id = emit_incident(acme)

        assert deliver(endpoint) == 1

        headers, body = parse(server.requests[0])
        verification = verify(headers, body, [endpoint.shown_secret], now=time.time())
        assert (verification.reason, verification.verified) == ("", True)
        assert headers["webhook-id"] == str(event_id)
        assert headers["x-ispvm-attempt"] == "1"
        assert headers["x-ispvm-hop"] == "0"
        assert headers["x-ispvm-tenant-id"] == str(acme.id)
        event = json.loads(body)
        assert event["event_type"] == "incident.opened"
        assert event["incident"]["sequence"] == 1
        delivery = only_delivery(acme)
        assert delivery.state == DeliveryState.DELIVERED
        assert bytes(delivery.body) == body
        attempt = attempts(acme)[0]
        assert str(attempt.id) == headers["x-ispvm-delivery-id"]
        assert (attempt.outcome, attempt.status) == (Outcome.DELIVERED, 204)
        assert attempt.address == f"127.0.0.1:{server.port}"
        assert attempt.body_sha256 == delivery.body_sha256
        assert not Due.objects.filter(kind=DELIVER).exists()

    def test_is_not_sent_again(self, acme, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        deliver(endpoint)

        assert deliver(endpoint, at=clock.now() + timedelta(days=9)) == 0
        assert len(server.requests) == 1

    def test_the_response_of_a_private_receiver_is_not_stored(self, acme, make_endpoint):
        with ScriptedServer(answer("200 OK", body=b"internal detail")) as server:
            emit_endpoint = make_endpoint(server.url)
            emit_incident(acme)
            deliver(emit_endpoint)

        assert attempts(acme)[0].response_head == ""


STATUSES = [301, 302, 307, 400, 401, 403, 404, 418, 429, 500, 502, 503]


class TestFailed:
    @pytest.mark.parametrize("status", STATUSES)
    def test_by_any_status_except_2xx_and_retried(self, acme, make_endpoint, status):
        script = answer(f"{status} No", "Location: http://127.0.0.1:1/")
        with ScriptedServer(script) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(acme)
            at = clock.now()

            assert deliver(endpoint, at=at) == 1

        delivery = only_delivery(acme)
        assert delivery.state == DeliveryState.PENDING
        assert 4 <= (delivery.next_attempt_at - at).total_seconds() <= 6
        attempt = attempts(acme)[0]
        assert (attempt.outcome, attempt.status) == (Outcome.REJECTED, status)
        assert attempt.error_code == f"status_{status}"
        due = Due.objects.get(kind=DELIVER)
        assert due.next_due_at == delivery.next_attempt_at

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            (reset, "connection_lost"),
            (raw(b""), "connection_lost"),
            (raw(b"hello\r\n\r\n"), "answer_malformed"),
            (hang, "answer_timeout"),
            (send_slowly(b"H" * 10_000, 0.1), "answer_timeout"),
        ],
        ids=["reset", "closed", "garbage", "hang", "slow bytes"],
    )
    def test_without_a_response_and_retried(self, acme, make_endpoint, script, code):
        with ScriptedServer(script) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(acme)
            deliver(endpoint, seconds=1.0 if code == "answer_timeout" else HANG_SECONDS)

        assert only_delivery(acme).state == DeliveryState.PENDING
        attempt = attempts(acme)[0]
        assert (attempt.outcome, attempt.error_code) == (Outcome.FAILED, code)
        assert attempt.status is None
        assert not attempt.is_permanent

    @pytest.mark.parametrize(
        "script",
        [
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
            raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500_000),
            answer("200 OK", "Content-Encoding: gzip", body=b"\x1f\x8b not really"),
        ],
        ids=["half body", "big body", "odd body"],
    )
    def test_not_by_a_2xx_with_an_unusual_body(self, acme, make_endpoint, script):
        with ScriptedServer(script) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(acme)
            deliver(endpoint)

        assert only_delivery(acme).state == DeliveryState.DELIVERED

    def test_when_the_address_is_refused_now_and_no_connection_is_made(
        self, acme, server, make_endpoint
    ):
        endpoint = make_endpoint(server.url)
        with acting_in(acme):
            Endpoint.objects.update(url=f"http://169.254.169.254:{server.port}/latest/")
        emit_incident(acme)

        deliver(endpoint)

        attempt = attempts(acme)[0]
        assert (attempt.error_code, attempt.is_permanent) == ("address_metadata", True)
        assert (attempt.address, server.connections) == ("", 0)

    @pytest.mark.parametrize(
        ("value", "low", "high"),
        [
            ("1", 4, 6),
            ("8", 8, 8),
            ("1000000000", 8, 12),
            ("-3", 4, 6),
            ("Wed, 01 Jul 2099 12:00:00 GMT", 8, 12),
            ("soon", 4, 6),
        ],
    )
    def test_with_retry_after_up_to_twice_the_delay(self, acme, make_endpoint, value, low, high):
        with ScriptedServer(answer("429 Slow Down", f"Retry-After: {value}")) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(acme)
            at = clock.now()
            deliver(endpoint, at=at)

        wait = (only_delivery(acme).next_attempt_at - at).total_seconds()
        assert low <= wait <= high


class TestSchedule:
    def test_becomes_a_dead_letter_after_the_twelfth_attempt(self, acme, make_endpoint):
        with ScriptedServer(answer("403 Forbidden")) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(acme)
            at = clock.now()
            waits = []
            for _ in range(12):
                assert deliver(endpoint, at=at, seed=len(waits)) == 1
                delivery = only_delivery(acme)
                if delivery.state == DeliveryState.PENDING:
                    waits.append((delivery.next_attempt_at - at).total_seconds())
                    at = delivery.next_attempt_at

        assert delivery.state == DeliveryState.DEAD
        assert delivery.dead_reason == DeadReason.EXHAUSTED
        assert len(waits) == 11
        for wait, base in zip(waits, DELAYS_SECONDS[1:], strict=True):
            assert 0.8 * base <= wait <= 1.2 * base
        requests = [parse(request) for request in server.requests]
        assert len(requests) == 12
        assert len({body for _, body in requests}) == 1
        assert len({headers["webhook-id"] for headers, _ in requests}) == 1
        assert len({headers["x-ispvm-delivery-id"] for headers, _ in requests}) == 12
        assert [h["x-ispvm-attempt"] for h, _ in requests] == [str(n) for n in range(1, 13)]
        assert not Due.objects.filter(kind=DELIVER).exists()

    def test_no_attempt_is_made_before_its_time(self, acme, make_endpoint):
        with ScriptedServer(answer("500 Oops")) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(acme)
            at = clock.now()
            deliver(endpoint, at=at)

            assert deliver(endpoint, at=at + timedelta(seconds=3.9)) == 0
            assert deliver(endpoint, at=at + timedelta(seconds=6.1)) == 1


class TestPausing:
    def test_410_pauses_at_once_and_dead_letters_pending_deliveries(self, acme, make_endpoint):
        with ScriptedServer(answer("410 Gone")) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(acme, sequence=1)
            emit_incident(acme, "incident.updated", sequence=2)

            assert deliver(endpoint) == 1
            emit_incident(acme, "incident.closed", sequence=3)
            assert deliver(endpoint, at=clock.now() + timedelta(days=4)) == 0

        assert len(server.requests) == 1
        with acting_in(acme):
            assert Destination.objects.get().pause_reason == PauseReason.GONE
            states = Delivery.objects.values_list("state", "dead_reason")
            assert set(states) == {(DeliveryState.DEAD, DeadReason.ENDPOINT_PAUSED)}
            assert len(states) == 3

    def test_120_hours_of_failures_pause_and_a_success_in_between_does_not(
        self, acme, make_endpoint
    ):
        with ScriptedServer(answer("500 Oops")) as server:
            endpoint = make_endpoint(server.url)
            start = clock.now()
            emit_incident(acme, sequence=1)
            deliver(endpoint, at=start)
            emit_incident(acme, sequence=2)
            deliver(endpoint, at=start + timedelta(hours=119))
            with acting_in(acme):
                assert not Destination.objects.get().is_paused

            server.script = answer("204 No Content")
            deliver(endpoint, at=start + timedelta(hours=125))
            server.script = answer("500 Oops")
            emit_incident(acme, sequence=3)
            deliver(endpoint, at=start + timedelta(hours=130))
            with acting_in(acme):
                assert not Destination.objects.get().is_paused

            deliver(endpoint, at=start + timedelta(hours=251))
            with acting_in(acme):
                assert Destination.objects.get().pause_reason == PauseReason.FAILING


class TestInterrupted:
    def test_after_a_sender_died_the_same_bytes_are_sent_again(
        self, acme, server, make_endpoint, monkeypatch
    ):
        endpoint = make_endpoint(server.url)
        event_id = emit_incident(acme)

        def killed(**_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(delivering, "settle", killed)
            with pytest.raises(KeyboardInterrupt):
                deliver(endpoint)
        now = clock.now()

        assert deliver(endpoint, at=now + timedelta(seconds=5)) == 0
        due = Due.objects.get(kind=DELIVER)
        assert due.next_due_at <= now + timedelta(seconds=30)
        assert deliver(endpoint, at=now + timedelta(seconds=31)) == 1

        first, second = (parse(request) for request in server.requests)
        assert first[1] == second[1]
        assert first[0]["webhook-id"] == second[0]["webhook-id"] == str(event_id)
        assert first[0]["x-ispvm-delivery-id"] != second[0]["x-ispvm-delivery-id"]
        assert [a.outcome for a in attempts(acme)] == [Outcome.INTERRUPTED, Outcome.DELIVERED]
        assert only_delivery(acme).failure_count == 0

    def test_an_expired_lease_is_leased_again_even_if_a_retry_is_scheduled_later(
        self, acme, server, make_endpoint, monkeypatch
    ):
        """Another worker may have set the due row to a later time."""
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        at = clock.now()
        assert lease_due(tenant_id=acme.id, destination_id=endpoint.id, most=1, at=at) is not None

        assert deliver(endpoint, at=at + timedelta(seconds=1)) == 0
        assert Due.objects.get(kind=DELIVER).next_due_at == at + timedelta(seconds=30)


class TestSlowReceivers:
    def test_get_one_connection_at_a_time_and_back_off_after_three_timeouts(
        self, acme, make_endpoint
    ):
        with ScriptedServer(hang) as server:
            endpoint = make_endpoint(server.url)
            for n in range(5):
                emit_incident(acme, sequence=n + 1)
            at = clock.now()

            assert deliver(endpoint, at=at, seconds=1.0) == 3
            with acting_in(acme):
                endpoint_row = Destination.objects.get()
            assert endpoint_row.slow_failures == 3
            assert endpoint_row.backoff_until == at + timedelta(seconds=30)
            assert Due.objects.get(kind=DELIVER).next_due_at == endpoint_row.backoff_until
            assert deliver(endpoint, at=at + timedelta(seconds=29)) == 0
            server.script = answer("204 No Content")
            assert deliver(endpoint, at=at + timedelta(seconds=31)) == 5

    def test_do_not_delay_another_endpoint(self, acme, server, make_endpoint):
        with ScriptedServer(lambda conn, _: slow.released.wait()) as slow:
            hanging = make_endpoint(slow.url, name="hanging")
            good = make_endpoint(server.url, name="good")
            emit_incident(acme)
            lease_due(tenant_id=acme.id, destination_id=hanging.id, most=1, at=clock.now())

            assert deliver(good) == 1


class TestOtherTenants:
    def test_receive_nothing(self, acme, globex, make_endpoint):
        with ScriptedServer(answer("204 No Content")) as other_server:
            endpoint = make_endpoint(other_server.url, tenant=globex)
            emit_incident(acme)

            assert deliver(endpoint) == 0
        assert other_server.requests == []

    def test_a_suspended_tenant_sends_nothing_until_it_is_back(self, acme, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        acme.is_active = False
        acme.save()
        assert deliver(endpoint) == 0

        acme.is_active = True
        acme.save()
        assert deliver(endpoint) == 1


def test_no_transaction_is_open_during_network_io(acme, make_endpoint):
    sender_connection = transaction.get_connection()
    transaction_states = []

    def record_state(conn, _):
        transaction_states.append(sender_connection.in_atomic_block)
        conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with ScriptedServer(record_state) as server:
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        deliver(endpoint)

    assert transaction_states == [False]


def test_read_request_reads_what_was_sent():
    """The scripted server itself must not truncate bodies."""
    import socket

    client_end, server_end = socket.socketpair()
    with client_end, server_end:
        client_end.sendall(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        assert read_request(server_end).endswith(b"abc")


class TestRecoveredReceiver:
    def fail(self, tenant, make_endpoint, times: int):
        """An endpoint whose first event was rejected ``times`` times."""
        with ScriptedServer(answer("503 No")) as server:
            endpoint = make_endpoint(server.url)
            emit_incident(tenant)
            at = clock.now()
            for _ in range(times):
                at += timedelta(hours=2)  # 120 hours of it would pause it
                deliver(endpoint, at=at)
        return endpoint, at

    def test_gets_pending_deliveries_at_once(self, acme, server, make_endpoint):
        endpoint, at = self.fail(acme, make_endpoint, 4)
        with acting_in(acme):
            Endpoint.objects.update(url=server.url)
        emit_incident(acme)

        deliver(endpoint, at=at + timedelta(seconds=1))

        assert len(server.requests) == 2
        with acting_in(acme):
            assert set(Delivery.objects.values_list("state", flat=True)) == {
                DeliveryState.DELIVERED
            }

    def test_a_rejected_event_keeps_its_retry_schedule(self, acme, server, make_endpoint):
        endpoint, at = self.fail(acme, make_endpoint, 6)
        with acting_in(acme):
            Endpoint.objects.update(url=server.url)
        emit_incident(acme)

        deliver(endpoint, at=at + timedelta(seconds=1))

        assert len(server.requests) == 1
        with acting_in(acme):
            waiting = Delivery.objects.get(state=DeliveryState.PENDING)
            assert waiting.failure_count == 6
            assert waiting.next_attempt_at > at + timedelta(minutes=30)
