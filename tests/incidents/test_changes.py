"""What changes about an incident, planned without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from apps.core.messages import Message
from apps.incidents.changes import (
    CLOSED,
    OPENED,
    UPDATED,
    Finding,
    is_firing,
    is_hold_over,
    plan_changes,
    plan_end,
    plan_merge,
)
from apps.incidents.choices import EntryKind
from apps.incidents.rca.impact import Impact
from apps.incidents.rca.snapshot import Symptom
from apps.incidents.rca.verdict import Cause, Problem
from apps.maintenance.coverage import ActiveWindow

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROUTER, OTHER = ("device", UUID(int=1)), ("device", UUID(int=2))
WINDOW = UUID(int=9)


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def cause(ref=ROUTER, name="cr1", confidence=0.9) -> Cause:
    summary = Message("incidents.evidence.summary", {"n": 1})
    return Cause(ref, name, "primary", confidence, summary, (), ())


def symptom(number: int = 1, since: float = 0, **fields) -> Symptom:
    return Symptom(
        alert_id=UUID(int=100 + number),
        rule="unreachable",
        kind="unreachable",
        ref=ROUTER,
        severity="critical",
        state="firing",
        since=at(since),
        fired_at=at(since + 10),
        summary=Message("alerts.text", {"text": f"alert {number}"}),
        **{"clear_since": None, **fields},
    )


def problem(*symptoms: Symptom, causes=None, severity="critical", devices=1) -> Problem:
    return Problem(
        causes=causes or (cause(),),
        symptoms=symptoms or (symptom(),),
        suppressed=(),
        impact=Impact((), tuple(UUID(int=n) for n in range(devices)), ()),
        severity=severity,
        title=Message("incidents.title.down", {"causes": "cr1", "n": 1}),
    )


def finding(found: Problem | None = None, **fields) -> Finding:
    return Finding(**{"problem": found or problem(), "at": at(60), "subscribers": 0, **fields})


def window(*, notify_critical: bool = False) -> ActiveWindow:
    return ActiveWindow(WINDOW, "fibre works", notify_critical=notify_critical)


def stored(opened_by: Finding, **fields) -> SimpleNamespace:
    """The incident as it stands after this finding opened it."""
    values = dict(plan_changes(None, opened_by, None).values)
    defaults = {"is_open": True, "reopened_count": 0, "revision": 1}
    return SimpleNamespace(**{**defaults, **values, **fields})


def kinds(changes) -> list[EntryKind]:
    return [kind for kind, _ in changes.entries]


class TestHold:
    """How long fired alerts wait for related ones: the better the cause is known, the shorter."""

    @pytest.mark.parametrize(("confidence", "hold"), [(0.9, 5), (0.5, 5), (0.49, 10), (0.1, 10)])
    def test_an_incident_opens_after_it(self, confidence, hold):
        found = problem(symptom(since=0), causes=(cause(confidence=confidence),))

        assert not is_hold_over(found, at(10 + hold - 0.1))
        assert is_hold_over(found, at(10 + hold))

    def test_it_counts_from_the_first_fired_alert(self):
        pending = replace(symptom(3, -60), fired_at=None, state="pending")

        assert is_hold_over(problem(symptom(1, 20), symptom(2, 0), pending), at(15))
        assert not is_hold_over(problem(pending), at(3600))

    def test_what_has_recovered_opens_nothing(self):
        over = symptom(clear_since=at(20))

        assert not is_firing(problem(over))
        assert is_firing(problem(over, symptom(2)))
        assert not is_firing(problem(replace(symptom(), fired_at=None)))


class TestOpening:
    def test_it_has_the_cause_the_impact_and_the_time_of_the_first_symptom(self):
        changes = plan_changes(
            None, finding(problem(symptom(1, 5), symptom(2, 3), devices=4), subscribers=412), None
        )

        assert changes.values["started_at"] == at(3)
        assert changes.values["opened_at"] == at(60)
        assert (changes.values["root_type"], changes.values["root_id"]) == ROUTER
        assert changes.values["devices_affected"] == 4
        assert changes.values["subscribers_affected"] == 412
        assert (changes.event, changes.action) == (OPENED, "incident.opened")
        assert (
            changes.document
            == finding(problem(symptom(1, 5), symptom(2, 3), devices=4), subscribers=412).document
        )
        assert kinds(changes) == [EntryKind.OPENED]


class TestUpdating:
    def test_the_same_finding_again_changes_nothing(self):
        first = finding()

        assert plan_changes(stored(first), first, first.document) == plan_changes(
            stored(first), replace(first, at=at(90)), first.document
        )
        changes = plan_changes(stored(first), first, first.document)
        assert (dict(changes.values), changes.document, changes.entries) == ({}, None, ())
        assert (changes.event, changes.action) == ("", "")

    def test_more_impact_is_a_revision_and_is_published(self):
        first, second = finding(), finding(problem(symptom(), symptom(2), devices=7))

        changes = plan_changes(stored(first), second, first.document)

        assert changes.values["devices_affected"] == 7
        assert changes.document == second.document
        assert changes.event == UPDATED

    def test_a_changed_confidence_alone_is_not_published(self):
        first, second = finding(), finding(problem(causes=(cause(confidence=0.7),)))

        changes = plan_changes(stored(first), second, first.document)

        assert dict(changes.values) == {"confidence": 0.7}
        assert (changes.document, changes.event) == (None, "")

    def test_another_cause_is_on_the_timeline_and_published(self):
        first, second = finding(), finding(problem(causes=(cause(OTHER, "cr2"),)))

        changes = plan_changes(stored(first), second, first.document)

        (entry,) = changes.entries
        assert entry[0] is EntryKind.VERDICT
        assert entry[1].params == {"cause": "cr2", "former": "cr1"}
        assert changes.event == UPDATED

    @pytest.mark.parametrize(("since", "expected"), [(-30, {"started_at": at(-30)}), (30, {})])
    def test_the_start_moves_back_but_never_forward(self, since, expected):
        first = finding()
        second = finding(problem(symptom(1, since)))

        changes = plan_changes(stored(first), second, first.document)

        assert dict(changes.values) == expected

    def test_while_it_recovers_the_description_of_the_outage_stays(self):
        first = finding(problem(symptom(), symptom(2), devices=7))
        rest = finding(
            problem(symptom(2), causes=(cause(OTHER, "cr2"),), severity="warn"),
            is_recovering=True,
            subscribers=None,
        )

        changes = plan_changes(stored(first), rest, first.document)

        assert (dict(changes.values), changes.document, changes.event) == ({}, None, "")


class TestReopening:
    @pytest.mark.parametrize(
        ("before", "code"), [(0, "reopened"), (1, "reopened_flapping"), (5, "reopened_flapping")]
    )
    def test_counts_and_says_when_it_recurs(self, before, code):
        closed = stored(finding(), is_open=False, reopened_count=before)

        changes = plan_changes(closed, finding(problem(symptom(since=100))), None)

        assert changes.values["reopened_count"] == before + 1
        assert (changes.values["ended_at"], changes.values["resolution"]) == (None, "")
        assert changes.entries[0][1].code == f"incidents.timeline.{code}"
        assert (changes.event, changes.action) == (UPDATED, "incident.reopened")
        assert "started_at" not in changes.values
        assert changes.document is not None


class TestMaintenance:
    @pytest.mark.parametrize(
        ("notify_critical", "severity", "is_suppressed"),
        [
            (False, "critical", True),
            (False, "warn", True),
            (True, "critical", False),
            (True, "warn", True),
        ],
    )
    def test_only_critical_ones_bypass_and_only_where_the_window_says_so(
        self, notify_critical, severity, is_suppressed
    ):
        covered = finding(
            problem(severity=severity), window=window(notify_critical=notify_critical)
        )

        changes = plan_changes(None, covered, None)

        assert changes.values["notifications_suppressed"] is is_suppressed
        assert changes.values["maintenance_id"] == WINDOW
        code = "maintenance" if is_suppressed else "maintenance_critical"
        assert changes.entries[-1][1].code == f"incidents.timeline.{code}"

    def test_its_end_is_noted_and_publishes_what_is_still_open(self):
        covered = finding(window=window())

        changes = plan_changes(stored(covered), finding(), covered.document)

        assert changes.values["notifications_suppressed"] is False
        assert changes.entries[0][1].code == "incidents.timeline.maintenance_ended"
        assert changes.event == UPDATED

    @pytest.mark.parametrize(("is_active", "ends"), [(True, False), (False, True)])
    def test_recovery_does_not_take_an_incident_out_of_an_active_window(self, is_active, ends):
        covered = finding(window=window())
        recovering = finding(
            is_recovering=True, active_windows=frozenset({WINDOW} if is_active else ())
        )

        changes = plan_changes(stored(covered), recovering, covered.document)

        assert ("maintenance_id" in changes.values) is ends

    def test_one_that_becomes_critical_in_its_window_is_published(self):
        first = finding(problem(severity="warn"), window=window(notify_critical=True))
        second = finding(problem(severity="critical"), window=window(notify_critical=True))

        changes = plan_changes(stored(first), second, first.document)

        assert changes.values["notifications_suppressed"] is False
        assert changes.event == UPDATED


class TestClosing:
    def test_what_is_no_longer_monitored_has_not_recovered(self):
        changes = plan_end(at(90), has_recovered=False)

        assert changes.values["resolution"] == "removed"
        assert changes.entries[0][1].code == "incidents.timeline.removed"
        assert changes.event == CLOSED

    def test_recovered(self):
        changes = plan_end(at(90), has_recovered=True)

        assert dict(changes.values) == {
            "status": "closed",
            "resolution": "recovered",
            "ended_at": at(90),
        }
        assert (changes.event, changes.action) == (CLOSED, "incident.closed")
        assert changes.entries[0][1].code == "incidents.timeline.recovered"

    def test_merged_names_the_incident_that_continues(self):
        changes = plan_merge(UUID(int=7), 17, at(90))

        assert changes.values["merged_into_id"] == UUID(int=7)
        assert changes.values["resolution"] == "merged"
        assert changes.entries[0][1].params == {"number": 17}
        assert changes.event == CLOSED
