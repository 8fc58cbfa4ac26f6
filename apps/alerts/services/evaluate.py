"""Evaluate every rule of a tenant at one moment, and write only the alerts that changed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from apps.alerts.choices import AlertState, EndReason
from apps.alerts.models import Alert
from apps.alerts.rules.flapping import Flapping, detect_flapping
from apps.alerts.rules.machine import Episode, step
from apps.alerts.rules.overrides import EntityAttributes, resolve
from apps.alerts.rules.program import Rule
from apps.alerts.services.evaluation_inputs import Inputs, LoadedRule, load_inputs, load_rules
from apps.alerts.services.transitions import (
    Transition,
    update_maintenance,
    write_transitions,
)
from apps.inventory.selectors import Ref, Scope
from apps.tenancy import acting_in
from apps.tenancy.locks import TenantLock, try_lock

EVALUATE = "alerts.evaluate"
#: So many polling intervals without a sample are a gap.
INTERVALS_IN_GAP = 2.5


def evaluate_tenant(*, tenant_id: UUID, at: datetime) -> int:
    """Update every alert of a tenant to its current state; returns the number of changes.

    Idempotent at one moment. One evaluator at a time per tenant (advisory lock); a second one returns at once.
    The number of statements does not grow with that of entities; changes are written a thousand per statement.
    """
    with acting_in(tenant_id):
        if not try_lock(TenantLock.EVALUATE):
            return 0
        rules = load_rules()
        inputs = load_inputs(rules, at)
        transitions = [row for loaded in rules for row in _evaluate_rule(loaded, inputs, at)]
        write_transitions(transitions, inputs, at)
        update_maintenance(inputs)
    return len(transitions)


def _evaluate_rule(loaded: LoadedRule, inputs: Inputs, at: datetime) -> Iterator[Transition]:
    rule, latest = loaded.rule, inputs.latest[loaded.rule.condition.metric]
    # An alert whose series is gone is looked at as well: every episode ends.
    orphaned = [ref for ref in inputs.alerts_of(loaded.row.id) if ref not in latest]
    for ref in (*latest, *orphaned):
        scope = inputs.scope_of(ref)
        alert = inputs.open_alerts.get((loaded.row.id, ref))
        end_reason = _end_reason(loaded, ref, scope, inputs)
        if end_reason is not None and alert is None:
            continue
        effective = resolve(rule, loaded.overrides, _attributes(scope))
        if end_reason is None and not effective.is_enabled:
            if alert is None:
                continue
            end_reason = EndReason.RULE_DISABLED
        before = _episode(alert, inputs.recovered.get((loaded.row.id, ref)))
        if end_reason is not None:
            after, evaluation, flapping = _ended(before, at), None, None
        else:
            reading = inputs.reading_of(rule.condition.metric, ref)
            evaluation = rule.condition.evaluate(reading, effective.bounds, at)
            flapping = _flapping(rule, before, ref, inputs, at)
            max_gap = _max_gap(rule, before, scope, inputs)
            after = step(before, evaluation, effective.timing, at, flapping, max_gap=max_gap)
        if after != before:
            yield Transition(
                loaded, ref, alert, before, after, evaluation, effective, flapping, end_reason
            )


def _end_reason(loaded: LoadedRule, ref: Ref, scope: Scope, inputs: Inputs) -> EndReason | None:
    """Why the rule does not apply to this entity, overrides aside; None where it does."""
    if not inputs.is_known(ref):
        return EndReason.REMOVED
    if not _in_scope(loaded.rule, ref, scope, inputs.linked):
        return EndReason.OUT_OF_SCOPE
    if not loaded.row.is_enabled:
        return EndReason.RULE_DISABLED
    if scope.disabled or not _is_gate_met(loaded.rule, ref, inputs):
        return EndReason.DISABLED
    if ref not in inputs.latest[loaded.rule.condition.metric]:
        return EndReason.NO_DATA
    return None


def _flapping(
    rule: Rule, before: Episode, ref: Ref, inputs: Inputs, at: datetime
) -> Flapping | None:
    state_changes = inputs.state_changes_of(rule.condition.metric, ref)
    if rule.flap is None or not state_changes:
        return None
    return detect_flapping(rule.flap, state_changes, at, was_flapping=before.is_flapping)


def _max_gap(rule: Rule, before: Episode, scope: Scope, inputs: Inputs) -> timedelta:
    """The lookback, or where polls are slower, their interval with room for one that is missed."""
    if before.sample_at is None:  # it does not wait
        return timedelta.max
    lookback = timedelta(seconds=rule.condition.lookback_seconds)
    interval = inputs.poll_intervals.seconds_of(rule.condition.metric, scope.device_id)
    return max(lookback, timedelta(seconds=INTERVALS_IN_GAP * interval))


def _ended(before: Episode, at: datetime) -> Episode:
    """The end of an alert that nothing is said of any more."""
    return Episode(state=AlertState.OK, recovered_at=at if before.fired_at else None)


def _in_scope(rule: Rule, ref: Ref, scope: Scope, linked: set[UUID]) -> bool:
    required = rule.scope
    return (
        ref[0] == required.entity_type
        and (not required.roles or scope.role in required.roles)
        and (not required.tags or bool(required.tags & set(scope.tags)))
        and (not required.site_ids or str(scope.site_id) in required.site_ids)
        and (not required.device_ids or str(scope.device_id) in required.device_ids)
        and (not required.only_linked or ref[1] in linked)
    )


def _attributes(scope: Scope) -> EntityAttributes:
    return EntityAttributes(
        str(scope.device_id or ""), scope.role, str(scope.site_id or ""), frozenset(scope.tags)
    )


def _is_gate_met(rule: Rule, ref: Ref, inputs: Inputs) -> bool:
    if rule.gate is None:
        return True
    value = inputs.latest[rule.gate.metric].get(ref)
    return value is None or value.value == rule.gate.equals


def _episode(alert: Alert | None, recovered_at: datetime | None) -> Episode:
    if alert is None:
        return Episode(recovered_at=recovered_at)
    return Episode(
        AlertState(alert.state),
        alert.since,
        alert.fired_at,
        alert.clear_since,
        recovered_at,
        alert.is_flapping,
        alert.sample_at,
    )
