"""Incidents that merge, or of which nothing is monitored any more; what a pass of the correlation writes."""

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Membership, User
from apps.alerts.models import Alert
from apps.alerts.services import evaluate_tenant
from apps.authorization.actors import Actor
from apps.events.models import OutboxEvent
from apps.incidents import services
from apps.incidents.models import (
    IncidentAlert,
    Revision,
    StoredSnapshot,
    TimelineEntry,
)
from apps.inventory.services import delete_device
from apps.tenancy import acting_in
from tests.incidents.monitored_network import ACTOR, CUT_OFF_ROUTERS, MonitoredNetwork

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


class TestMerging:
    """A supply fails, and the sessions of the PoP are lost; then the whole PoP has no power and is gone."""

    @pytest.fixture
    def merged(self, network) -> MonitoredNetwork:
        network.run(15, 70, unpowered=("agg1",), sessions=0.0)
        assert [row.status for row in network.incidents()] == ["open", "open"]
        self.work_on(network)
        network.run(70, 100, unpowered=CUT_OFF_ROUTERS, sessions=0.0)
        network.run(100, 150, down=CUT_OFF_ROUTERS, cut=("cr2-agg1",))
        return network

    def test_one_continues_with_every_alert_and_the_other_names_it(self, merged):
        first, second = merged.incidents()
        (closed, survivor) = (first, second) if first.status == "closed" else (second, first)

        assert (closed.status, closed.resolution) == ("closed", "merged")
        assert closed.merged_into_id == survivor.id
        assert survivor.status == "open"
        assert survivor.root_name == "north"
        with acting_in(merged.tenant):
            members = set(IncidentAlert.objects.values_list("incident_id", flat=True))
            entry = TimelineEntry.objects.filter(incident=closed).latest("at").message
        assert members == {survivor.id}
        assert entry.params == {"number": survivor.number}

    def work_on(self, network: MonitoredNetwork) -> None:
        """An operator takes the one that will be merged (case 27 of the faults)."""
        incident = network.incidents()[1]
        with acting_in(network.tenant):
            member = User.objects.create_user(
                "dana@example.net", "a long password", first_name="Dana"
            )
            Membership.objects.create(tenant=network.tenant, user=member, role="noc")
            act = {"incident_id": incident.id, "actor": DANA, "at": network.at(70)}
            services.acknowledge_incident(**act)
            services.assign_incident(user_id=member.id, **act)
            services.add_note(text="Tech is on the way", **act)

    def test_the_one_that_continues_has_what_people_did(self, merged):
        survivor, closed = merged.incidents()
        with acting_in(merged.tenant):
            entries = TimelineEntry.objects.filter(incident=survivor)
            note = entries.get(kind="note")
            codes = [row.message.code for row in entries if row.message]
        assert (survivor.acked_by, survivor.acked_at) == ("Dana", merged.at(70))
        assert (survivor.assigned_to, survivor.assigned_user_id) == (
            closed.assigned_to,
            closed.assigned_user_id,
        )
        assert survivor.assigned_to
        assert (note.note, note.actor["label"], note.at) == (
            "Tech is on the way",
            "Dana",
            merged.at(70),
        )
        assert "incidents.timeline.joined" in codes

    def test_receivers_learn_which_one_continues(self, merged):
        survivor, closed = merged.incidents()
        with acting_in(merged.tenant):
            (close,) = OutboxEvent.objects.filter(topic="incident.closed")
            acked = [row.key for row in OutboxEvent.objects.filter(topic="incident.acked")]
        assert close.key == str(closed.id)
        assert close.payload["merged_into"] == str(survivor.id)
        assert sorted(acked) == sorted([str(closed.id), str(survivor.id)])

    def test_receivers_get_one_close_of_the_merged_one(self, merged):
        assert topics(merged).count("incident.opened") == 2
        assert topics(merged).count("incident.closed") == 1

    def test_it_closes_as_one(self, merged):
        merged.run(130, 260)

        assert {row.status for row in merged.incidents()} == {"closed"}
        assert topics(merged).count("incident.closed") == 2


class TestRemoval:
    """Case 07 of the faults: a router that will not come back is deleted."""

    @pytest.fixture
    def scrapped(self, network) -> MonitoredNetwork:
        network.run(15, 60, down=("er1",), cut=("er1-cr1",))
        assert len(network.incidents()) == 1
        self.before = network.incidents()[0].title
        with acting_in(network.tenant):
            delete_device(device=network.devices["er1"], actor=ACTOR, at=network.at(60))
        for seconds in (62, 64, 66, 120, 600, 3600):
            network.evaluate(seconds)
        return network

    def test_its_incident_closes_with_the_reason_and_its_last_name(self, scrapped):
        (incident,) = scrapped.incidents()
        assert (incident.status, incident.resolution) == ("closed", "removed")
        assert incident.title == self.before
        with acting_in(scrapped.tenant):
            codes = {row.message.code for row in TimelineEntry.objects.filter(incident=incident)}
            names = set(IncidentAlert.objects.values_list("entity_name", flat=True))
        assert codes >= {"incidents.timeline.alert_removed", "incidents.timeline.removed"}
        assert "er1" in names
        assert not [name for name in names if "-" in name and len(name) > 36]

    def test_receivers_are_told_once(self, scrapped):
        assert topics(scrapped).count("incident.closed") == 1
        with acting_in(scrapped.tenant):
            titles = {
                row.payload["title"]
                for row in OutboxEvent.objects.filter(topic__startswith="incident.")
            }
            assert {row.state for row in Alert.objects.all()} == {"ok"}
        assert titles == {self.before}


class TestWrites:
    def test_a_pass_that_changes_nothing_writes_no_incident(self, network):
        network.cut_backhaul(15, 60)

        with CaptureQueriesContext(connection) as captured:
            services.correlate_tenant(tenant_id=network.tenant.id, at=network.at(61))

        statements = [row["sql"] for row in captured]
        written = [sql for sql in statements if sql.startswith(("INSERT", "UPDATE", "DELETE"))]
        assert not [sql for sql in written if "incidents_" in sql or "audit_" in sql]

    def test_the_statements_do_not_grow_with_the_incidents_that_stay(self, network):
        def statements(seconds: float) -> int:
            with CaptureQueriesContext(connection) as captured:
                services.correlate_tenant(tenant_id=network.tenant.id, at=network.at(seconds))
            return len(captured)

        network.run(15, 60, unpowered=("er1",))
        assert len(network.incidents()) == 1
        few = statements(61)
        network.run(60, 120, unpowered=("er1", "agg1"))
        assert len(network.incidents()) == 2

        assert statements(121) == few


class TestKilled:
    def test_a_pass_that_is_killed_leaves_nothing_and_the_next_one_does_it(self, network):
        """Its database connection is terminated before the events are written."""
        evaluate_only(network, 15, 60, down=CUT_OFF_ROUTERS, cut=("cr2-agg1",))

        def kill(execute, sql, params, many, context):
            if sql.startswith('INSERT INTO "events_outboxevent"'):
                raise OperationalError("terminating connection due to administrator command")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(kill), pytest.raises(OperationalError):
            services.correlate_tenant(tenant_id=network.tenant.id, at=network.at(61))
        assert network.incidents() == []
        with acting_in(network.tenant):
            rows = (IncidentAlert, Revision, TimelineEntry, StoredSnapshot)
            assert [model.objects.count() for model in rows] == [0, 0, 0, 0]

        services.correlate_tenant(tenant_id=network.tenant.id, at=network.at(63))

        assert len(network.incidents()) == 1
        assert topics(network) == ["incident.opened"]
