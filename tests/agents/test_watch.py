"""What heartbeats give away: a wrong clock, two hosts under one identity, a certificate near its end."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from apps.agents import services
from apps.agents.models import Agent
from apps.agents.watch import Known, Sighting, look_at
from apps.audit.models import Record
from apps.telemetry.models import Event
from tests.agents.csr import make_csr
from tests.agents.factories import AT, der_of, enroll, make_agent

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


def beats(*boots: tuple[float, UUID]) -> list[tuple[float, str]]:
    """When which notice comes for heartbeats at these seconds of these starts."""
    known, told = Known(), []
    for seconds, boot in boots:
        at = AT + seconds * SECOND
        known, notices = look_at(known, Sighting(boot_id=boot, address=f"192.0.2.{boot.int}"), at)
        told += [(seconds, notice.event_type) for notice in notices]
    return told


class TestTwoHosts:
    def test_a_host_that_starts_again_and_again_is_one_host(self):
        assert beats((0, A), (10, A), (20, B), (30, B), (40, C), (50, C)) == []

    def test_two_that_take_turns_are_found_at_the_third_heartbeat(self):
        assert beats((0, A), (7, B), (14, A)) == [(14, "agent.identity.conflicted")]

    def test_it_is_said_once(self):
        turns = [(n * 7, (A, B)[n % 2]) for n in range(20)]

        assert len(beats(*turns)) == 1

    def test_a_heartbeat_that_was_on_its_way_while_the_host_started_again_is_no_second_host(self):
        assert beats((0, A), (10, B), (13, A), (20, B), (30, B)) == []

    def test_three_clones_and_one_that_comes_back_late(self):
        assert beats((0, A), (10, B), (20, C), (3600, A)) == [(3600, "agent.identity.conflicted")]

    def test_it_names_both_starts_and_both_addresses(self):
        known, _ = look_at(Known(), Sighting(boot_id=A, address="192.0.2.1"), AT)
        known, _ = look_at(known, Sighting(boot_id=B, address="192.0.2.2"), AT + 10 * SECOND)
        _, (notice,) = look_at(known, Sighting(boot_id=A, address="192.0.2.1"), AT + 20 * SECOND)

        assert notice.payload["addresses"] == ["192.0.2.1", "192.0.2.2"]
        assert notice.payload["boot_ids"] == [str(A), str(B)]


class TestExpiry:
    def told(self, *days: float) -> list[tuple[float, str]]:
        known, out = Known(), []
        for day in days:
            seen = Sighting(serial="ab", not_before=AT, not_after=AT + 30 * DAY)
            known, notices = look_at(known, seen, AT + day * DAY)
            out += [(n.payload["percent_left"], n.severity) for n in notices]
        return out

    def test_each_level_is_told_once(self):
        assert self.told(*(n / 4 for n in range(120))) == [
            (50, "info"),
            (25, "warn"),
            (10, "critical"),
        ]

    def test_a_young_certificate_is_no_news(self):
        assert self.told(0, 5, 14.9) == []

    def test_a_renewed_one_begins_anew(self):
        old = Known(expiry_told="ab:10")
        seen = Sighting(serial="cd", not_before=AT, not_after=AT + 30 * DAY)

        known, notices = look_at(old, seen, AT + DAY)

        assert (known, notices) == (old, [])


@pytest.mark.django_db
class TestConflict:
    def conflicted(self) -> tuple[Agent, services.IssuedCertificate]:
        agent = make_agent()
        issued = enroll(agent)
        for seconds, boot in ((0, A), (10, B), (20, A)):
            services.record_heartbeat(agent_id=agent.id, boot_id=boot, at=AT + seconds * SECOND)
        return agent, issued

    def test_it_is_an_event_and_audited_and_the_identity_ends_with_its_certificate(self, in_acme):
        _, issued = self.conflicted()

        assert Event.objects.get().event_type == "agent.identity.conflicted"
        assert Record.objects.filter(action="agent.identity_conflicted").count() == 1
        known = services.authenticate_certificate(der=der_of(issued), at=AT + DAY)
        with pytest.raises(services.CertificateRefused) as caught:
            services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + DAY)
        assert caught.value.code == "identity_conflict"

    def test_a_new_enrollment_resolves_it_and_ends_both_hosts(self, in_acme):
        agent, issued = self.conflicted()

        again = enroll(agent, AT + DAY)

        agent.refresh_from_db()
        assert agent.conflict_at is None
        with pytest.raises(services.CertificateRefused):
            services.authenticate_certificate(der=der_of(issued), at=AT + DAY)
        services.record_heartbeat(agent_id=agent.id, boot_id=A, at=AT + DAY)
        known = services.authenticate_certificate(der=der_of(again), at=AT + DAY)
        assert services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + DAY)

    def test_noting_it_twice_is_once(self, in_acme):
        agent = make_agent()
        for _ in range(2):
            services.note_conflict(agent_id=agent.id, how="batch", at=AT)

        assert Event.objects.count() == 1

    def test_a_host_that_renews_in_a_loop_is_stopped(self, in_acme):
        issued = enroll(make_agent())
        known = services.authenticate_certificate(der=der_of(issued), at=AT)
        codes = []
        for n in range(25):
            try:
                services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + n * SECOND)
            except Exception as error:  # noqa: BLE001  (its code is asserted)
                codes.append(error.code)

        assert codes == ["renewed_too_often"] * 6
        assert services.renew_certificate(identity=known, csr_pem=make_csr(), at=AT + 2 * DAY)


def test_a_heartbeat_without_a_time_or_a_start_says_nothing():
    assert look_at(Known(), Sighting(), datetime(2026, 1, 1, tzinfo=UTC)) == (Known(), [])
