"""From samples to incidents, on the real database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from apps.alerts.services import evaluate_tenant
from apps.audit.models import Record
from apps.authorization.actors import Actor
from apps.events.models import Due, OutboxEvent
from apps.incidents import services
from apps.incidents.models import (
    Incident,
    IncidentAlert,
    Revision,
    StoredSnapshot,
    TimelineEntry,
)
from apps.incidents.services.correlate import CORRELATE
from apps.inventory.models import Site
from apps.maintenance.services import plan_window
from apps.tenancy import acting_in
from tests.incidents.monitored_network import ACTOR, CUT_OFF_ROUTERS, MonitoredNetwork
from tests.inventory.factories import make_site

pytestmark = pytest.mark.django_db

DANA = Actor("user", "1", "Dana")


@pytest.fixture
def network(acme) -> MonitoredNetwork:
    network = MonitoredNetwork(acme)
    network.run(0, 15)
    return network


def topics(network: MonitoredNetwork) -> list[str]:
    with acting_in(network.tenant):
        rows = OutboxEvent.objects.filter(topic__startswith="incident.").order_by("created_at")
        return list(rows.values_list("topic", flat=True))


def evaluate_only(
    network: MonitoredNetwork, first: int, last: int, **faults: tuple[str, ...]
) -> None:
    """Alerts change state without correlation."""
    for seconds in range(first, last, 5):
        network.poll(seconds, **faults)
        evaluate_tenant(tenant_id=network.tenant.id, at=network.at(seconds + 1))


class TestBackhaulCut:
    def test_becomes_one_incident_with_its_cause_and_impact(self, network):
        network.cut_backhaul(15, 45)

        (incident,) = network.incidents()
        assert (incident.root_type, incident.root_id) == ("link", network.links["cr2-agg1"].id)
        assert incident.title == "cr2-agg1 is down: 2 routers cut off"
        assert incident.severity == "critical"
        assert (incident.sites_affected, incident.devices_affected) == (1, 2)
        assert incident.subscribers_affected == 412
        assert incident.started_at == network.at(15)
        assert incident.opened_at <= network.at(41)
        assert topics(network)[0] == "incident.opened"

    def test_suppresses_the_routers_behind_it_with_a_reason(self, network):
        network.cut_backhaul(15, 60)

        with acting_in(network.tenant):
            suppressed = {
                row.entity_name: row for row in IncidentAlert.objects.filter(is_suppressed=True)
            }
            shown = set(
                IncidentAlert.objects.filter(is_suppressed=False).values_list(
                    "entity_name", flat=True
                )
            )
        assert suppressed.keys() == {"agg1", "bng1"}
        assert shown == {"cr2 to-agg1"}
        assert suppressed["bng1"].suppressed_by_id == network.links["cr2-agg1"].id
        assert "cr2-agg1" in suppressed["bng1"].suppression_reason
        assert suppressed["bng1"].suppressed_since == network.at(15)

    def test_closes_once_when_everything_has_recovered(self, network):
        network.cut_backhaul(15, 60)
        network.run(60, 90)

        (incident,) = network.incidents()
        assert (incident.status, incident.resolution) == ("closed", "recovered")
        assert incident.ended_at is not None
        assert (incident.root_type, incident.subscribers_affected) == ("link", 412)
        assert topics(network).count("incident.closed") == 1
        assert topics(network)[-1] == "incident.closed"
        with acting_in(network.tenant):
            assert not Due.objects.filter(kind=CORRELATE).exists()

    def test_the_same_cut_again_soon_reopens_the_incident(self, network):
        network.cut_backhaul(15, 60)
        network.run(60, 90)
        network.cut_backhaul(90, 120)

        (incident,) = network.incidents()
        assert (incident.status, incident.reopened_count) == ("open", 1)
        assert incident.ended_at is None
        assert topics(network)[-2:] == ["incident.closed", "incident.updated"]

    def test_another_problem_of_the_same_router_soon_is_a_second_incident(self, network):
        network.run(15, 60, down=("er1",))
        network.run(60, 90)
        network.run(90, 110, unpowered=("er1",))

        first, second = network.incidents()
        assert (first.root_type, first.root_id) == (second.root_type, second.root_id)
        assert (first.status, first.reopened_count) == ("closed", 0)
        assert (second.status, second.title) == ("open", "er1 has lost a power supply")

    def test_the_same_cut_later_is_a_second_incident(self, network):
        network.cut_backhaul(15, 45)
        network.run(45, 75)
        network.poll(400)
        network.evaluate(401)
        network.cut_backhaul(405, 440)

        assert [row.status for row in network.incidents()] == ["closed", "open"]

    def test_a_flapping_one_closes_only_after_a_longer_quiet(self, network):
        for start in (15, 75, 135):
            network.cut_backhaul(start, start + 30)
            network.run(start + 30, start + 60)

        (incident,) = network.incidents()
        assert incident.is_flapping
        assert incident.status == "open"
        assert topics(network).count("incident.closed") == 2

        network.poll(240)
        network.evaluate(241)
        assert network.incidents()[0].status == "closed"

    def test_publishes_complete_events_in_sequence(self, network):
        network.cut_backhaul(15, 60)
        network.run(60, 90)

        with acting_in(network.tenant):
            rows = OutboxEvent.objects.filter(topic__startswith="incident.").order_by("created_at")
            payloads = [row.payload for row in rows]
        assert [row["sequence"] for row in payloads] == list(range(1, len(payloads) + 1))
        first, last = payloads[0], payloads[-1]
        assert first["root_causes"][0]["name"] == "cr2-agg1"
        assert first["root_causes"][0]["classification"] == "primary"
        assert first["impact"]["estimated_subscribers_affected"] == 412
        assert first["evidence_top"]
        assert (first["status"], last["status"]) == ("open", "closed")
        assert last["ends_at"]

    def test_nothing_opens_before_the_hold_is_over(self, network):
        network.cut_backhaul(15, 30)

        assert network.incidents() == []


class TestVerdictThatSplitsDuringRecovery:
    """A PoP lost its power. Once its supplies recover, they no longer explain why it is unreachable, and the verdict
    has two problems: the supplies, and the uplink."""

    @pytest.fixture
    def split(self, network) -> MonitoredNetwork:
        network.lose_power(15, 50, 90)
        network.run(90, 140)
        return network

    def test_it_still_closes(self, split):
        (incident,) = split.incidents()
        assert incident.root_type == "site"
        assert (incident.status, incident.resolution) == ("closed", "recovered")
        assert topics(split).count("incident.closed") == 1

    def test_every_alert_has_its_current_state_and_one_recovery_entry(self, split):
        with acting_in(split.tenant):
            rows = list(IncidentAlert.objects.select_related("alert"))
            over = TimelineEntry.objects.filter(kind="recovery")
            ends = sorted(entry.detail["alert"] for entry in over)
        assert {row.kind for row in rows} == {"power_lost", "unreachable", "interface_down"}
        assert {(row.state, row.alert.state) for row in rows} == {("ok", "ok")}
        assert ends == sorted(str(row.alert_id) for row in rows)

    def test_the_outcome_stays_when_supplies_are_polled_last(self, network):
        network.lose_power(15, 50, 90)
        (incident,) = network.incidents()
        outcome, published = (incident.title, incident.severity), topics(network)
        assert outcome == ("north is without power: 2 routers lost", "critical")

        network.run(90, 95, unpowered=CUT_OFF_ROUTERS)
        network.run(95, 140)

        (incident,) = network.incidents()
        assert (incident.title, incident.severity) == outcome
        assert (incident.devices_affected, incident.resolution) == (2, "recovered")
        assert topics(network) == [*published, "incident.closed"]

    def test_supplies_that_stay_down_are_published_with_their_own_severity(self, network):
        network.lose_power(15, 50, 90)
        network.run(90, 140, unpowered=CUT_OFF_ROUTERS)
        assert network.incidents()[0].severity == "critical"

        for seconds in (300, 405):
            network.poll(seconds, unpowered=CUT_OFF_ROUTERS)
            network.evaluate(seconds + 1)

        (incident,) = network.incidents()
        assert (incident.status, incident.severity) == ("open", "warn")
        assert topics(network)[-1] == "incident.updated"

    def test_an_alert_that_split_off_and_still_fires_keeps_it_open(self, network):
        network.lose_power(15, 50, 90)
        network.run(90, 140, down=("bng1",))

        (incident,) = [row for row in network.incidents() if row.root_type == "site"]
        assert incident.status == "open"


class TestRecorrelation:
    def test_alerts_that_recovered_without_correlation_close_the_incident(self, network):
        network.cut_backhaul(15, 60)
        evaluate_only(network, 60, 90)

        services.correlate_tenant(tenant_id=network.tenant.id, at=network.at(1000))

        assert [row.resolution for row in network.incidents()] == ["recovered"]

    def test_an_earlier_episode_does_not_keep_an_incident_open_that_a_later_one_ended(
        self, network
    ):
        network.cut_backhaul(15, 60)
        evaluate_only(network, 60, 90)
        evaluate_only(network, 90, 120, down=CUT_OFF_ROUTERS, cut=("cr2-agg1",))
        network.cut_backhaul(120, 130)
        assert [row.status for row in network.incidents()] == ["open"]

        network.run(130, 170)

        assert {row.resolution for row in network.incidents()} == {"recovered"}

    def test_the_same_alerts_again_change_nothing(self, network):
        network.cut_backhaul(15, 60)
        with acting_in(network.tenant):
            before = (
                Revision.objects.count(),
                StoredSnapshot.objects.count(),
                len(topics(network)),
            )
        for _ in range(3):
            network.evaluate(57)

        with acting_in(network.tenant):
            after = (Revision.objects.count(), StoredSnapshot.objects.count(), len(topics(network)))
        assert after == before

    def test_stays_due_while_something_is_open(self, network):
        network.cut_backhaul(15, 45)

        with acting_in(network.tenant):
            assert Due.objects.filter(kind=CORRELATE).count() == 1

    def test_another_tenant_gets_no_incident(self, network, globex):
        network.cut_backhaul(15, 45)
        services.correlate_tenant(tenant_id=globex.id, at=network.at(45))

        with acting_in(globex):
            assert Incident.objects.count() == 0

    def test_a_replay_reaches_the_same_verdict(self, network):
        network.cut_backhaul(15, 60)

        with acting_in(network.tenant):
            replays = [
                services.replay_revision(row)
                for row in Revision.objects.select_related("snapshot__graph")
            ]
        assert replays
        assert all(replay.is_same for replay in replays)


class TestOperators:
    @pytest.fixture
    def incident(self, network) -> Incident:
        return network.open_incident()

    def test_acknowledging_is_published_audited_and_on_the_timeline(self, network, incident):
        with acting_in(network.tenant):
            services.acknowledge_incident(incident_id=incident.id, actor=DANA, at=network.at(61))

            incident.refresh_from_db()
            assert incident.acked_by == "Dana"
            assert incident.timeline.filter(kind="acknowledged").exists()
            assert Record.objects.filter(action="incident.acknowledged").exists()
        assert topics(network)[-1] == "incident.acked"

    def test_a_second_acknowledgement_is_refused_and_names_the_first(self, network, incident):
        with acting_in(network.tenant):
            services.acknowledge_incident(incident_id=incident.id, actor=DANA, at=network.at(61))
            with pytest.raises(services.AlreadyAcknowledged, match="Dana"):
                services.acknowledge_incident(
                    incident_id=incident.id, actor=DANA, at=network.at(62)
                )

    def test_closed_manually_it_is_not_reopened_by_the_same_alerts(self, network, incident):
        with acting_in(network.tenant):
            services.close_incident(
                incident_id=incident.id, reason="Known works", actor=DANA, at=network.at(61)
            )
        network.cut_backhaul(65, 100)

        assert [row.resolution for row in network.incidents()] == ["operator"]

    def test_a_closed_incident_takes_notes_but_no_acknowledgement(self, network, incident):
        with acting_in(network.tenant):
            services.close_incident(
                incident_id=incident.id, reason="Known works", actor=DANA, at=network.at(61)
            )
            services.add_note(
                incident_id=incident.id, text=" Fixed ", actor=DANA, at=network.at(62)
            )
            with pytest.raises(services.IncidentClosed):
                services.acknowledge_incident(
                    incident_id=incident.id, actor=DANA, at=network.at(63)
                )

            assert incident.timeline.filter(kind="note", note="Fixed").exists()

    @pytest.mark.parametrize("text", ["", "  \n "])
    def test_an_empty_note_is_refused(self, network, incident, text):
        with acting_in(network.tenant), pytest.raises(services.NoteEmpty):
            services.add_note(incident_id=incident.id, text=text, actor=DANA, at=network.at(61))


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_two_correlators_open_one_incident(self, acme):
        network = MonitoredNetwork(acme)
        network.run(0, 15)
        for seconds in range(15, 30, 5):
            network.poll(seconds, down=("agg1", "bng1"), cut=("cr2-agg1",))
            network.evaluate(seconds + 1)

        def correlate(_: int) -> None:
            try:
                services.correlate_tenant(tenant_id=acme.id, at=network.at(45))
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(correlate, range(8)))

        (incident,) = network.incidents()
        assert incident.sequence == 1

    def test_one_of_several_concurrent_acknowledgements_wins(self, acme):
        network = MonitoredNetwork(acme)
        network.run(0, 15)
        network.cut_backhaul(15, 45)
        (incident,) = network.incidents()

        def acknowledge(name: str) -> bool:
            try:
                with acting_in(acme):
                    services.acknowledge_incident(
                        incident_id=incident.id,
                        actor=Actor("user", name, name),
                        at=network.at(45) + timedelta(seconds=1),
                    )
            except services.AlreadyAcknowledged:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(acknowledge, ["Ada", "Bo", "Cy", "Di"]))

        assert results.count(True) == 1
        assert topics(network).count("incident.acked") == 1


class TestMaintenance:
    CUT = {"down": CUT_OFF_ROUTERS, "cut": ("cr2-agg1",)}

    def plan(self, network, site: str, *, ends: float = 600, **more):
        with acting_in(network.tenant):
            site_id = Site.objects.get(name=site).id
            return plan_window(
                title="Works",
                starts_at=network.at(0),
                ends_at=network.at(ends),
                site_ids=[site_id],
                actor=ACTOR,
                at=network.t0,
                **more,
            )

    def test_a_covered_incident_is_flagged_and_not_published(self, network):
        self.plan(network, "north")
        network.open_incident()
        network.run(60, 120)

        (incident,) = network.incidents()
        assert (incident.in_maintenance, incident.maintenance_title) == (True, "Works")
        assert (incident.status, incident.resolution) == ("closed", "recovered")
        assert (topics(network), incident.sequence) == ([], 0)
        with acting_in(network.tenant):
            assert TimelineEntry.objects.filter(incident=incident, kind="maintenance").exists()

    def test_work_on_one_router_behind_the_cut_does_not_cover_the_cut(self, network):
        with acting_in(network.tenant):
            plan_window(
                title="Works",
                starts_at=network.at(0),
                ends_at=network.at(600),
                device_ids=[network.devices["bng1"].id],
                actor=ACTOR,
                at=network.t0,
            )

        assert not network.open_incident().in_maintenance
        assert topics(network)[0] == "incident.opened"

    def test_an_incident_still_open_when_the_window_ends_is_published_then(self, network):
        self.plan(network, "north", ends=60)
        network.open_incident()
        assert topics(network) == []

        network.run(50, 75, **self.CUT)

        (incident,) = network.incidents()
        assert not incident.in_maintenance
        assert topics(network) == ["incident.opened"]
        assert incident.sequence == 1

    def test_the_close_of_a_published_incident_is_published(self, network):
        network.open_incident()
        before = topics(network)
        self.plan(network, "north")

        network.run(50, 60, **self.CUT)
        network.run(60, 120)

        assert topics(network) == [*before, "incident.closed"]

    def test_critical_incidents_bypass_a_window_that_notifies_critical(self, network):
        self.plan(network, "north", notify_critical=True)
        incident = network.open_incident()

        assert incident.in_maintenance
        assert topics(network)[0] == "incident.opened"

    def test_another_tenant_s_window_covers_nothing(self, network, globex):
        with acting_in(globex):
            plan_window(
                title="Works",
                starts_at=network.at(0),
                ends_at=network.at(600),
                site_ids=[make_site("north").id],
                actor=ACTOR,
                at=network.t0,
            )

        assert not network.open_incident().in_maintenance
