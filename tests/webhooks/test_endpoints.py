from datetime import timedelta

import pytest

from apps.audit.models import Record
from apps.core import clock
from apps.core.http.errors import AddressRefused, UrlRefused
from apps.delivery import services as delivery
from apps.delivery.choices import DeadReason, DeliveryState
from apps.delivery.models import Delivery
from apps.delivery.services.scheduling import DELIVER
from apps.events.models import Due
from apps.tenancy import acting_in
from apps.webhooks import services
from apps.webhooks.choices import SecretStage
from apps.webhooks.models import Endpoint, Secret
from apps.webhooks.services.secrets import live_secrets
from tests.webhooks.conftest import CHANNEL, LOOPBACK, deliver, emit_incident

pytestmark = pytest.mark.django_db

URL = "https://hook.example.net/x"


def create(actor, **fields):
    values = {"name": "pager", "url": URL, **fields}
    return services.create_endpoint(actor=actor, at=clock.now(), policy=LOOPBACK, **values)


class TestCreateEndpoint:
    def test_shows_the_secret_once_and_stores_it_encrypted(self, in_acme, actor):
        endpoint, secret = create(actor)

        row = Secret.objects.get()
        assert row.stage == SecretStage.CURRENT
        assert secret.encode() not in bytes(row.sealed)
        assert live_secrets(endpoint=endpoint, at=clock.now()) == [secret]
        audit_record = Record.objects.get(action="webhook_endpoint.created")
        assert secret not in str(audit_record.detail)

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("ftp://hook.example.net/", "url_scheme"),
            ("https://u:p@hook.example.net/", "url_userinfo"),
            ("https://10.0.0.1/", "address_denied"),
            ("https://169.254.169.254/", "address_metadata"),
            ("http://8.8.8.8/", "https_required"),
            ("https://2130706433/", "url_host_number"),
        ],
    )
    def test_rejects_a_refused_url(self, in_acme, actor, url, code):
        with pytest.raises((UrlRefused, AddressRefused)) as error:
            create(actor, url=url)

        assert error.value.code == code
        assert not Endpoint.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"name": "  "}, "name_empty"),
            ({"event_types": ["incident.exploded"]}, "event_type_unknown"),
            ({"event_types": ["webhook.ping"]}, "event_type_unknown"),
            ({"severity_floor": "fatal"}, "severity_unknown"),
            ({"ca_pem": "nonsense"}, "ca_unreadable"),
        ],
    )
    def test_rejects_invalid_fields(self, in_acme, actor, fields, code):
        with pytest.raises(services.EndpointInvalid) as error:
            create(actor, **fields)

        assert error.value.code == code

    def test_rejects_a_duplicate_name_except_of_a_deleted_endpoint(self, in_acme, actor):
        endpoint, _ = create(actor)
        with pytest.raises(delivery.DestinationNameTaken):
            create(actor)

        services.delete_endpoint(endpoint=endpoint, actor=actor, at=clock.now())
        create(actor)


class TestRotation:
    def test_stage_promote_retire_with_both_secrets_signing_meanwhile(self, in_acme, actor):
        endpoint, old = create(actor)
        at = clock.now()

        new = services.stage_secret(endpoint=endpoint, actor=actor, at=at)
        assert live_secrets(endpoint=endpoint, at=at) == [old, new]

        services.promote_secret(endpoint=endpoint, actor=actor, at=at)
        assert live_secrets(endpoint=endpoint, at=at) == [new, old]
        assert live_secrets(endpoint=endpoint, at=at + timedelta(hours=25)) == [new]

        services.retire_secret(endpoint=endpoint, actor=actor, at=at)
        assert live_secrets(endpoint=endpoint, at=at) == [new]
        steps = Record.objects.filter(action__startswith="webhook_secret.")
        assert [r.action for r in steps.order_by("sequence")] == [
            "webhook_secret.staged",
            "webhook_secret.promoted",
            "webhook_secret.retired",
        ]

    def test_refuses_steps_out_of_order(self, in_acme, actor):
        endpoint, _ = create(actor)
        arguments = {"endpoint": endpoint, "actor": actor, "at": clock.now()}
        with pytest.raises(services.RotationOutOfStep, match="nothing_staged"):
            services.promote_secret(**arguments)
        with pytest.raises(services.RotationOutOfStep, match="nothing_retiring"):
            services.retire_secret(**arguments)
        services.stage_secret(**arguments)
        with pytest.raises(services.RotationOutOfStep, match="already_staged"):
            services.stage_secret(**arguments)

    @pytest.mark.parametrize("days", [-1, 8])
    def test_refuses_a_grace_out_of_range(self, in_acme, actor, days):
        endpoint, _ = create(actor)
        services.stage_secret(endpoint=endpoint, actor=actor, at=clock.now())
        with pytest.raises(services.EndpointInvalid):
            services.promote_secret(
                endpoint=endpoint, actor=actor, at=clock.now(), grace=timedelta(days=days)
            )

    def test_a_second_rotation_within_the_grace_ends_the_oldest_secret(self, in_acme, actor):
        endpoint, first = create(actor)
        arguments = {"endpoint": endpoint, "actor": actor, "at": clock.now()}
        services.stage_secret(**arguments)
        services.promote_secret(**arguments)
        services.stage_secret(**arguments)
        services.promote_secret(**arguments)

        live = live_secrets(endpoint=endpoint, at=clock.now())
        assert len(live) == 2
        assert first not in live


class TestFanOut:
    def test_renders_once_per_endpoint_and_again_changes_nothing(self, acme, make_endpoint):
        from apps.events.models import OutboxEvent
        from apps.events.subscriptions import Event

        make_endpoint(URL, name="a")
        make_endpoint(URL, name="b", hides_evidence=True)
        emit_incident(acme)
        with acting_in(acme):
            rows = {d.destination.name: bytes(d.body) for d in Delivery.objects.all()}
            stored = OutboxEvent.objects.get()
            event = Event(
                stored.id, acme.id, stored.topic, stored.key, {**stored.payload, "title": "Other"},
                stored.created_at,
            )  # fmt: skip
            delivery.fan_out(channel=CHANNEL, event=event, at=clock.now())

            assert {d.destination.name: bytes(d.body) for d in Delivery.objects.all()} == rows
        assert b"evidence 0" in rows["a"]
        assert b"evidence 0" not in rows["b"]
        assert Due.objects.filter(kind=DELIVER).count() == 2

    def test_applies_the_event_filter(self, acme, make_endpoint):
        make_endpoint(URL, event_types=["incident.closed"])
        emit_incident(acme)
        emit_incident(acme, "incident.closed", sequence=2)

        with acting_in(acme):
            assert [d.event_type for d in Delivery.objects.all()] == ["incident.closed"]

    def test_applies_the_severity_floor_and_sends_the_end_of_sent_incidents(
        self, acme, make_endpoint
    ):
        make_endpoint(URL, severity_floor="critical")
        other = "c0ffee00-0000-4000-8000-0000000000ff"
        emit_incident(acme, severity="warn", id=other)
        emit_incident(acme, severity="critical")
        emit_incident(acme, "incident.updated", severity="warn", sequence=2)
        emit_incident(acme, "incident.closed", severity="warn", sequence=3)
        emit_incident(acme, "incident.closed", severity="warn", id=other, sequence=2)

        with acting_in(acme):
            deliveries = Delivery.objects.order_by("sequence")
            assert [d.event_type for d in deliveries] == [
                "incident.opened",
                "incident.updated",
                "incident.closed",
            ]

    def test_drops_and_audits_events_beyond_the_hop_limit(self, acme, make_endpoint):
        make_endpoint(URL)
        emit_incident(acme, hop=5)
        emit_incident(acme, hop=6)

        with acting_in(acme):
            assert [d.hop for d in Delivery.objects.all()] == [5]
            assert Record.objects.get(action="webhook_event.dropped").detail["hop"] == 6

    def test_a_rolled_back_transaction_sends_nothing(self, acme, make_endpoint):
        from apps.events.dispatch import dispatch_tenant
        from apps.events.outbox import emit
        from tests.webhooks.samples import incident

        make_endpoint(URL)
        with pytest.raises(ZeroDivisionError), acting_in(acme):
            emit(topic="incident.opened", key="x", payload=incident())
            raise ZeroDivisionError
        dispatch_tenant(acme.id)

        with acting_in(acme):
            assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestPauseResumeDelete:
    def test_a_pause_queues_and_a_resume_sends(self, acme, actor, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        with acting_in(acme):
            delivery.pause_destination(
                destination=endpoint.destination, actor=actor, at=clock.now()
            )
        emit_incident(acme)
        assert deliver(endpoint) == 0
        with acting_in(acme):
            assert Delivery.objects.get().state == DeliveryState.PENDING
            delivery.resume_destination(
                destination=endpoint.destination, actor=actor, at=clock.now()
            )

        assert deliver(endpoint) == 1

    def test_a_deleted_endpoint_gets_nothing_and_keeps_its_deliveries(
        self, acme, actor, server, make_endpoint
    ):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        with acting_in(acme):
            services.delete_endpoint(endpoint=endpoint, actor=actor, at=clock.now())
            services.delete_endpoint(endpoint=endpoint, actor=actor, at=clock.now())
        emit_incident(acme, sequence=2)

        assert deliver(endpoint) == 0
        with acting_in(acme):
            row = Delivery.objects.get()
            assert row.dead_reason == DeadReason.ENDPOINT_DELETED
            assert not Secret.objects.exists()
            with pytest.raises(delivery.DestinationDeleted):
                delivery.resend_delivery(delivery=row, actor=actor, at=clock.now())
            with pytest.raises(delivery.DestinationDeleted):
                delivery.test_destination(
                    destination=endpoint.destination, actor=actor, at=clock.now()
                )

    def test_deleted_during_an_attempt_is_not_retried(self, acme, actor, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)

        def delete_meanwhile(conn, _):
            conn.sendall(b"HTTP/1.1 500 Oops\r\n\r\n")

        server.script = delete_meanwhile
        import random

        from apps.delivery.services.leasing import lease_due
        from apps.delivery.services.settling import settle

        lease = lease_due(
            tenant_id=acme.id, destination_id=endpoint.id, most=1, at=clock.now(), channel=CHANNEL
        )
        assert lease is not None
        job = lease.jobs[0]
        with acting_in(acme):
            services.delete_endpoint(endpoint=endpoint, actor=actor, at=clock.now())

        result = lease.sender.send(job, at=clock.now())
        settle(lease=lease, results=[(job, result)], at=clock.now(), rng=random.Random(1))

        with acting_in(acme):
            assert Delivery.objects.get().dead_reason == DeadReason.ENDPOINT_DELETED


@pytest.mark.django_db(transaction=True)
class TestPing:
    def test_is_sent_through_the_delivery_queue(self, acme, actor, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        with acting_in(acme):
            queued = delivery.test_destination(
                destination=endpoint.destination, actor=actor, at=clock.now()
            )

        assert deliver(endpoint) == 1
        assert b"X-ISPVM-Event-Type: webhook.ping" in server.requests[0]
        assert str(queued.event_id).encode() in server.requests[0]

    def test_is_not_retried(self, acme, actor, server, make_endpoint):
        from tests.core.http.servers import answer

        server.script = answer("500 Oops")
        endpoint = make_endpoint(server.url)
        with acting_in(acme):
            delivery.test_destination(destination=endpoint.destination, actor=actor, at=clock.now())
        deliver(endpoint)

        with acting_in(acme):
            assert Delivery.objects.get().dead_reason == DeadReason.TEST_FAILED

    def test_is_refused_while_paused(self, acme, actor, make_endpoint):
        endpoint = make_endpoint(URL)
        with acting_in(acme):
            delivery.pause_destination(
                destination=endpoint.destination, actor=actor, at=clock.now()
            )
            with pytest.raises(delivery.DestinationPaused):
                delivery.test_destination(
                    destination=endpoint.destination, actor=actor, at=clock.now()
                )


@pytest.mark.django_db(transaction=True)
class TestResend:
    def test_repeated_requests_send_the_same_bytes_once(self, acme, actor, server, make_endpoint):
        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        deliver(endpoint)
        with acting_in(acme):
            row = Delivery.objects.get()
            arguments = {"delivery": row, "actor": actor, "at": clock.now()}

            assert delivery.resend_delivery(**arguments) is True
            assert delivery.resend_delivery(**arguments) is False

        assert deliver(endpoint) == 1
        first, second = (r.partition(b"\r\n\r\n") for r in server.requests)
        assert first[2] == second[2]
        assert f"webhook-id: {row.event_id}".encode() in second[0]
        assert b"X-ISPVM-Attempt: 2" in second[0]
        with acting_in(acme):
            assert Record.objects.filter(action="webhook_delivery.resent").count() == 1

    def test_after_a_rotation_signs_with_the_new_secret(self, acme, actor, server, make_endpoint):
        from apps.webhooks.signing import legacy_signature

        endpoint = make_endpoint(server.url)
        emit_incident(acme)
        deliver(endpoint)
        with acting_in(acme):
            arguments = {"endpoint": endpoint, "actor": actor, "at": clock.now()}
            new = services.stage_secret(**arguments)
            services.promote_secret(**arguments)
            services.retire_secret(**arguments)
            delivery.resend_delivery(delivery=Delivery.objects.get(), actor=actor, at=clock.now())
        deliver(endpoint)

        head, _, body = server.requests[1].partition(b"\r\n\r\n")
        assert legacy_signature(new, body).encode() in head

    def test_to_a_paused_endpoint_is_refused(self, acme, actor, make_endpoint):
        endpoint = make_endpoint(URL)
        emit_incident(acme)
        with acting_in(acme):
            delivery.pause_destination(
                destination=endpoint.destination, actor=actor, at=clock.now()
            )
            with pytest.raises(delivery.DestinationPaused):
                delivery.resend_delivery(
                    delivery=Delivery.objects.get(), actor=actor, at=clock.now()
                )
