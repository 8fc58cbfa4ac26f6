"""Receivers get a complete sequence of events per incident, whatever maintenance windows suppress."""

import os
import random
import re
from datetime import timedelta
from itertools import groupby

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.authorization.actors import Actor
from apps.events.models import OutboxEvent
from apps.incidents import services
from apps.incidents.changes import ACKED, CLOSED, OPENED, UPDATED
from apps.incidents.models import Incident
from apps.incidents.services.publishing import publish
from apps.inventory.models import Site
from apps.maintenance.models import MaintenanceWindow
from apps.maintenance.services import plan_window
from apps.tenancy import acting_in
from tests.accounts.rows import incident as make_incident
from tests.incidents.monitored_network import ACTOR, CUT_OFF_ROUTERS, MonitoredNetwork

DANA = Actor("user", "1", "Dana")
EVENT_LETTERS = {OPENED: "o", UPDATED: "u", ACKED: "a", CLOSED: "c"}
#: Opened, updates, closed; a reopening is published as an update.
SEQUENCE_PATTERN = re.compile(r"(o[ua]*(cu[ua]*)*c?)?")
ACTIONS = ("open", "close", "hold", "release", UPDATED, ACKED)
LONG = os.environ.get("ISPVM_LONG") == "1"
SCENARIOS = range(40 if LONG else 4)


def sequences() -> dict[str, str]:
    """One letter per event, by incident; the sequences have no gap. Needs an active tenant."""
    rows = OutboxEvent.objects.filter(topic__startswith="incident.").order_by("key", "created_at")
    found = {}
    for key, events in groupby(rows, lambda row: row.key):
        published = sorted(events, key=lambda row: row.payload["sequence"])
        assert [row.payload["sequence"] for row in published] == list(range(1, len(published) + 1))
        found[key] = "".join(EVENT_LETTERS[row.topic] for row in published)
    return found


def close(incident: Incident) -> None:
    incident.status, incident.resolution = "closed", "recovered"
    incident.ended_at = incident.started_at + timedelta(minutes=1)
    incident.save()
    publish(CLOSED, incident)


def reopen(incident: Incident) -> None:
    incident.status, incident.resolution, incident.ended_at = "open", "", None
    incident.save()
    publish(UPDATED, incident)


def apply_action(incident: Incident, action: str) -> None:
    """As correlation and operators do it: close an open one, reopen a closed one, begin or end a maintenance window."""
    if action == "close" and incident.is_open:
        close(incident)
    elif action == "open" and not incident.is_open:
        reopen(incident)
    elif action in {"hold", "release"}:
        was_suppressed, incident.notifications_suppressed = (
            incident.notifications_suppressed,
            action == "hold",
        )
        incident.save()
        if was_suppressed and not incident.notifications_suppressed and incident.is_open:
            publish(UPDATED, incident)
    elif action in {UPDATED, ACKED} and incident.is_open:
        publish(action, incident)


@pytest.mark.django_db
class TestEvents:
    @pytest.fixture
    def incident(self, in_acme) -> Incident:
        return Incident.objects.get(pk=make_incident())

    def test_reopened_and_closed_inside_a_window_is_closed_only_once(self, incident):
        publish(OPENED, incident)
        for action in ("close", "hold", "open", "close"):
            apply_action(incident, action)

        assert sequences() == {str(incident.id): "oc"}
        assert (incident.last_published, incident.sequence) == ("closed", 2)

    def test_reopened_inside_a_window_and_open_when_it_ends_is_published_as_an_update(
        self, incident
    ):
        publish(OPENED, incident)
        for action in ("close", "hold", "open", ACKED, "release", "close"):
            apply_action(incident, action)

        assert sequences() == {str(incident.id): "ocuc"}

    def test_the_first_event_after_a_window_is_opened(self, incident):
        apply_action(incident, "hold")
        publish(OPENED, incident)
        apply_action(incident, "release")

        assert sequences() == {str(incident.id): "o"}

    @settings(
        max_examples=1000 if LONG else 60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(begins_suppressed=st.booleans(), actions=st.lists(st.sampled_from(ACTIONS), max_size=14))
    def test_any_order_of_actions_gives_a_complete_sequence(
        self, in_acme, begins_suppressed, actions
    ):
        incident = Incident.objects.get(pk=make_incident())
        incident.notifications_suppressed = begins_suppressed
        incident.save()
        publish(OPENED, incident)
        for action in actions:
            apply_action(incident, action)

        sequence = sequences().get(str(incident.id), "")
        assert SEQUENCE_PATTERN.fullmatch(sequence), sequence
        last_status = {"": "", "c": "closed"}.get(sequence[-1:], "open")
        assert incident.last_published == last_status
        assert incident.sequence == len(sequence)
        if not incident.notifications_suppressed:
            assert last_status == incident.status or (last_status == "" and not incident.is_open)

    @pytest.mark.parametrize(("sequence", "last_published"), [(0, "open"), (1, ""), (1, "perhaps")])
    def test_the_database_requires_sequence_and_last_published_to_agree(
        self, incident, sequence, last_published
    ):
        rows = Incident.objects.filter(pk=incident.pk)

        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(sequence=sequence, last_published=last_published)


@pytest.mark.django_db
class TestMonitoredNetwork:
    def plan(self, network: MonitoredNetwork, first: int, last: int) -> MaintenanceWindow:
        with acting_in(network.tenant):
            return plan_window(
                title="Works",
                starts_at=network.at(first),
                ends_at=network.at(last),
                site_ids=[Site.objects.get(name="north").id],
                actor=ACTOR,
                at=network.at(first),
            )

    def test_a_published_outage_that_reopens_inside_a_window_closes_once(self, acme):
        network = MonitoredNetwork(acme)
        network.run(0, 15)
        network.cut_backhaul(15, 60)
        network.run(60, 90)
        self.plan(network, 90, 900)
        network.cut_backhaul(90, 120)
        network.run(120, 150)

        (incident,) = network.incidents()
        assert (incident.status, incident.reopened_count) == ("closed", 1)
        with acting_in(acme):
            assert SEQUENCE_PATTERN.fullmatch(sequences()[str(incident.id)])
            assert sequences()[str(incident.id)].count("c") == 1

    @pytest.mark.parametrize("seed", SCENARIOS)
    def test_a_random_scenario_gives_complete_sequences(self, acme, seed):
        print(f"seed {seed}")  # noqa: T201  # shown when it fails
        rng, network, second = random.Random(seed), MonitoredNetwork(acme), 0
        for _ in range(10):
            until = second + rng.randrange(15, 50, 5)
            faults = rng.choice(
                [{}, {"down": CUT_OFF_ROUTERS, "cut": ("cr2-agg1",)}, {"down": ("bng1",)}]
            )
            if rng.random() < 0.4:
                self.plan(network, second, second + rng.randrange(10, 90, 5))
            network.run(second, until, **faults)
            self._operator_actions(network, rng, until)
            second = until
        network.run(second, second + 60)

        with acting_in(acme):
            published = sequences()
        for incident in network.incidents():
            sequence = published.get(str(incident.id), "")
            assert SEQUENCE_PATTERN.fullmatch(sequence), (incident, sequence)
            assert len(sequence) == incident.sequence

    def _operator_actions(self, network: MonitoredNetwork, rng: random.Random, second: int) -> None:
        for incident in network.incidents():
            if not incident.is_open:
                continue
            with acting_in(network.tenant):
                arguments = {"incident_id": incident.id, "actor": DANA, "at": network.at(second)}
                if incident.acked_at is None and rng.random() < 0.3:
                    services.acknowledge_incident(**arguments)
                if rng.random() < 0.1:
                    services.close_incident(reason="Known", **arguments)
