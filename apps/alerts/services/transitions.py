"""Writes the transitions of one evaluation: alerts, their history and outbox events, one statement per table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.alerts.choices import AlertState, EndReason
from apps.alerts.messages import FLAPPING, summary_message
from apps.alerts.models import Alert, AlertTransition
from apps.alerts.rules.compile import render_summary
from apps.alerts.rules.conditions import Evaluation
from apps.alerts.rules.flapping import Flapping
from apps.alerts.rules.machine import Episode
from apps.alerts.rules.overrides import Effective
from apps.alerts.selectors import labels_of
from apps.alerts.services.evaluation_inputs import Inputs, LoadedRule
from apps.core.messages import Message
from apps.events import outbox
from apps.inventory.selectors import Ref

TRANSITION = "alert.transition"
#: Rows per statement.
BATCH = 1000
_EVALUATED_FIELDS = (
    *("state", "severity", "since", "fired_at", "clear_since", "recovered_at", "is_flapping"),
    *("sample_at", "end_reason", "maintenance_id", "observation", "summary", "summary_message"),
)


@dataclass(frozen=True)
class Transition:
    """An alert's episode before and after an evaluation, and what the change is based on."""

    loaded: LoadedRule
    ref: Ref
    alert: Alert | None
    before: Episode
    after: Episode
    evaluation: Evaluation | None
    effective: Effective
    flapping: Flapping | None = None
    #: Why the alert ends, where it does not recover.
    end_reason: EndReason | None = None

    @property
    def ends_unfired(self) -> bool:
        """It breached for a while, and cleared before it fired: nobody was alerted, nothing is kept."""
        return self.after.state is AlertState.OK and self.before.fired_at is None

    @property
    def is_move(self) -> bool:
        """Whether it belongs to the history: not while it waits, to fire or with another sample to recover."""
        return self.after.state is not AlertState.PENDING and (
            (self.before.state, self.before.is_flapping)
            != (self.after.state, self.after.is_flapping)
        )


def write_transitions(transitions: Sequence[Transition], inputs: Inputs, at: datetime) -> None:
    """Write them, in this order; one task is sent for all of their events."""
    unfired = [row.alert.pk for row in transitions if row.ends_unfired and row.alert is not None]
    if unfired:
        Alert.objects.filter(pk__in=unfired).delete()
    written = [row for row in transitions if not row.ends_unfired]
    if not written:
        return
    labels = labels_of(row.ref for row in written)
    alerts = [_updated_alert(row, labels.get(row.ref, ""), inputs) for row in written]
    Alert.objects.bulk_create(
        [alert for alert, row in zip(alerts, written, strict=True) if row.alert is None],
        batch_size=BATCH,
    )
    # PostgreSQL updates many rows by their conflict with an insert; Django's bulk_update compares each with each.
    Alert.objects.bulk_create(
        [alert for alert, row in zip(alerts, written, strict=True) if row.alert is not None],
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=_EVALUATED_FIELDS,
    )
    moved = [(alert, row) for alert, row in zip(alerts, written, strict=True) if row.is_move]
    AlertTransition.objects.bulk_create(
        [
            AlertTransition(
                alert=alert,
                at=at,
                from_state=row.before.state,
                to_state=row.after.state,
                observation=_observation(row),
            )
            for alert, row in moved
        ],
        batch_size=BATCH,
    )
    outbox.emit_many(
        topic=TRANSITION, events=[(str(alert.id), _event(alert, row, at)) for alert, row in moved]
    )


def update_maintenance(inputs: Inputs) -> None:
    """Update the maintenance window of each open alert; its state is independent of it."""
    changed: dict[UUID | None, list[UUID]] = defaultdict(list)
    for (_, ref), alert in inputs.open_alerts.items():
        maintenance_id = inputs.maintenance_of(ref)
        if alert.maintenance_id != maintenance_id:
            changed[maintenance_id].append(alert.pk)
    for maintenance_id, alert_ids in changed.items():
        Alert.objects.filter(pk__in=alert_ids).update(maintenance_id=maintenance_id)


def _updated_alert(transition: Transition, label: str, inputs: Inputs) -> Alert:
    after = transition.after
    alert = transition.alert or Alert(
        rule=transition.loaded.row,
        entity_type=transition.ref[0],
        entity_id=transition.ref[1],
    )
    alert.state = after.state
    alert.severity = transition.effective.severity
    alert.since = after.since or alert.since
    alert.fired_at = after.fired_at or alert.fired_at
    # After recovery, the time of the first good sample is kept: correlation needs it.
    if after.state is not AlertState.OK:
        alert.clear_since = after.clear_since
    alert.recovered_at = after.recovered_at
    alert.is_flapping = after.is_flapping
    alert.sample_at = after.sample_at
    if after.state is AlertState.OK:
        alert.end_reason = transition.end_reason or EndReason.RECOVERED
    if transition.end_reason is not None:
        alert.clear_since = after.recovered_at
    alert.maintenance_id = inputs.maintenance_of(transition.ref)
    if after.state in {AlertState.PENDING, AlertState.FIRING}:
        alert.observation = _observation(transition)
        message = _summary(transition, label)
        alert.summary = message.english[:500]
        alert.summary_message = message
    return alert


def _event(alert: Alert, transition: Transition, at: datetime) -> dict[str, Any]:
    return {
        "alert_id": str(alert.id),
        "rule": transition.loaded.rule.key,
        "entity_type": alert.entity_type,
        "entity_id": str(alert.entity_id),
        "from": transition.before.state.value,
        "to": transition.after.state.value,
        "end_reason": alert.end_reason,
        "at": at.isoformat(),
    }


def _observation(transition: Transition) -> dict[str, object]:
    evaluation = transition.evaluation
    message = evaluation.message if evaluation else None
    return {
        "value": evaluation.value_text if evaluation else None,
        "code": message.code if message else "",
        "params": message.plain_params if message else {},
        "ts": evaluation.ts.isoformat() if evaluation else None,
        "threshold": transition.effective.bounds.threshold if transition.effective.bounds else None,
        "for_seconds": transition.effective.timing.for_seconds,
        "override": transition.effective.override,
        "metric": transition.loaded.rule.condition.metric,
        "state_changes": transition.flapping.state_changes if transition.flapping else None,
    }


def _summary(transition: Transition, label: str) -> Message:
    rule, evaluation = transition.loaded.rule, transition.evaluation
    if transition.flapping is not None and rule.flap is not None:
        changes, seconds = transition.flapping.state_changes, rule.flap.window_seconds
        return Message(FLAPPING, {"entity": label, "changes": changes, "seconds": seconds})
    value_text = evaluation.value_text if evaluation else ""
    device = label.partition(" ")[0]
    bounds = transition.effective.bounds
    threshold = bounds.threshold if bounds else None
    fields = {
        "entity.name": label,
        "device.name": device,
        "value": value_text,
        "state": value_text,
        "threshold": "" if threshold is None else f"{threshold:g}",
    }
    params = {
        "entity": label,
        "device": device,
        "value": evaluation.value if evaluation else None,
        "state": value_text,
        "threshold": threshold,
    }
    return summary_message(rule.summary, params, text=render_summary(rule.summary, fields)[:500])
