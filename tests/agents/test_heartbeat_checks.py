"""Checks of heartbeats: clock skew, cloned identity, certificate expiry."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from apps.agents import services
from apps.agents.heartbeat_checks import HeartbeatInfo, HeartbeatState, check_heartbeat
from apps.agents.models import Agent
from apps.audit.models import Record
from apps.telemetry.models import Event
from tests.agents.csr import make_csr
from tests.agents.factories import AT, der_of, enroll, make_agent

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


def conflict_events(*boots: tuple[float, UUID]) -> list[tuple[float, str]]:
    """(seconds, event type) for heartbeats at these seconds with these boot ids."""
    state, result = HeartbeatState(), []
    for seconds, boot in boots:
        at = AT + seconds * SECOND
        state, events = check_heartbeat(
            state, HeartbeatInfo(boot_id=boot, address=f"192.0.2.{boot.int}"), at
        )
        result += [(seconds, event.event_type) for event in events]
    return result


class TestTwoHosts:
    def test_restarts_of_one_host_are_no_conflict(self):
        assert conflict_events((0, A), (10, A), (20, B), (30, B), (40, C), (50, C)) == []

    def test_two_alternating_hosts_conflict_at_the_third_heartbeat(self):
        assert conflict_events((0, A), (7, B), (14, A)) == [(14, "agent.identity.conflicted")]

    def test_one_event_per_conflict(self):
        heartbeats = [(n * 7, (A, B)[n % 2]) for n in range(20)]

        assert len(conflict_events(*heartbeats)) == 1

    def test_a_late_heartbeat_after_a_restart_is_no_conflict(self):
        assert conflict_events((0, A), (10, B), (13, A), (20, B), (30, B)) == []

    def test_three_hosts_and_a_late_return(self):
        assert conflict_events((0, A), (10, B), (20, C), (3600, A)) == [
            (3600, "agent.identity.conflicted")
        ]

    def test_the_event_has_both_boot_ids_and_addresses(self):
        state, _ = check_heartbeat(
            HeartbeatState(), HeartbeatInfo(boot_id=A, address="192.0.2.1"), AT
        )
        state, _ = check_heartbeat(
            state, HeartbeatInfo(boot_id=B, address="192.0.2.2"), AT + 10 * SECOND
        )
        _, (event,) = check_heartbeat(
            state, HeartbeatInfo(boot_id=A, address="192.0.2.1"), AT + 20 * SECOND
        )

        assert event.payload["addresses"] == ["192.0.2.1", "192.0.2.2"]
        assert event.payload["boot_ids"] == [str(A), str(B)]


class TestExpiry:
    def events_at(self, *days: float) -> list[tuple[float, str]]:
        state, result = HeartbeatState(), []
        for day in days:
            heartbeat = HeartbeatInfo(serial="ab", not_before=AT, not_after=AT + 30 * DAY)
            state, events = check_heartbeat(state, heartbeat, AT + day * DAY)
            result += [(e.payload["percent_left"], e.severity) for e in events]
        return result

    def test_one_event_per_level(self):
        assert self.events_at(*(n / 4 for n in range(120))) == [
            (50, "info"),
            (25, "warn"),
            (10, "critical"),
        ]

    def test_no_event_for_a_new_certificate(self):
        assert self.events_at(0, 5, 14.9) == []

    def test_a_renewed_certificate_starts_over(self):
        old = HeartbeatState(expiry_notified="ab:10")
        heartbeat = HeartbeatInfo(serial="cd", not_before=AT, not_after=AT + 30 * DAY)

        state, events = check_heartbeat(old, heartbeat, AT + DAY)

        assert (state, events) == (old, [])


@pytest.mark.django_db
class TestConflict:
    def make_conflict(self) -> tuple[Agent, services.IssuedCertificate]:
        agent = make_agent()
        issued = enroll(agent)
        for seconds, boot in ((0, A), (10, B), (20, A)):
            services.record_heartbeat(agent_id=agent.id, boot_id=boot, at=AT + seconds * SECOND)
        return agent, issued

    def test_stores_an_event_audits_and_refuses_renewal(self, in_acme):
        _, issued = self.make_conflict()

        assert Event.objects.get().event_type == "agent.identity.conflicted"
        assert Record.objects.filter(action="agent.identity_conflicted").count() == 1
        known = services.authenticate_certificate(der=der_of(issued), at=AT + DAY)
        with pytest.raises(services.CertificateRefused) as caught:
            services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + DAY)
        assert caught.value.code == "identity_conflict"

    def test_a_new_enrollment_resolves_it_and_revokes_both_hosts(self, in_acme):
        agent, issued = self.make_conflict()

        again = enroll(agent, AT + DAY)

        agent.refresh_from_db()
        assert agent.conflict_at is None
        with pytest.raises(services.CertificateRefused):
            services.authenticate_certificate(der=der_of(issued), at=AT + DAY)
        services.record_heartbeat(agent_id=agent.id, boot_id=A, at=AT + DAY)
        known = services.authenticate_certificate(der=der_of(again), at=AT + DAY)
        assert services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + DAY)

    def test_recording_is_idempotent(self, in_acme):
        agent = make_agent()
        for _ in range(2):
            services.record_conflict(agent_id=agent.id, how="batch", at=AT)

        assert Event.objects.count() == 1

    def test_limits_renewals(self, in_acme):
        issued = enroll(make_agent())
        known = services.authenticate_certificate(der=der_of(issued), at=AT)
        codes = []
        for n in range(25):
            try:
                services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + n * SECOND)
            except Exception as error:
                codes.append(error.code)

        assert codes == ["renewal_rate_exceeded"] * 6
        assert services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + 2 * DAY)


def test_a_heartbeat_without_time_and_boot_id_has_no_events():
    assert check_heartbeat(HeartbeatState(), HeartbeatInfo(), datetime(2026, 1, 1, tzinfo=UTC)) == (
        HeartbeatState(),
        [],
    )
