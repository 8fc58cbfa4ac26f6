"""Evaluate every rule of a tenant at one moment, and write only the alerts that changed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from apps.alerts.choices import AlertState
from apps.alerts.messages import FLAPPING, summary_message
from apps.alerts.models import Alert, AlertRule, AlertTransition, RuleOverride
from apps.alerts.rules.compile import compile_rule, make_override, render_summary
from apps.alerts.rules.conditions import (
    Evaluation,
    evaluate_absence,
    evaluate_state,
    evaluate_threshold,
)
from apps.alerts.rules.flapping import Flapping, detect_flapping
from apps.alerts.rules.machine import Episode, step
from apps.alerts.rules.overrides import Effective, EntityAttributes, resolve
from apps.alerts.rules.program import (
    STATE_CHANGE_EVENTS,
    Absence,
    Aggregation,
    Override,
    Rule,
    StateIs,
    Threshold,
)
from apps.alerts.selectors import labels_of
from apps.core.messages import Message
from apps.events import outbox
from apps.ingest.uptime import IngestUptime, ingest_uptime
from apps.inventory.selectors import (
    Ref,
    Scope,
    linked_interface_ids,
    scope_attributes,
)
from apps.maintenance.coverage import ActiveWindow, covering_window
from apps.maintenance.selectors import active_windows
from apps.telemetry import queries
from apps.telemetry.queries import LatestValue, Points
from apps.telemetry.store import SeriesKey
from apps.tenancy import acting_in
from apps.tenancy.locks import TenantLock, try_lock

EVALUATE = "alerts.evaluate"
TRANSITION = "alert.transition"
NO_SCOPE = Scope(None, "", None, ())


@dataclass(frozen=True)
class _LoadedRule:
    row: AlertRule
    rule: Rule
    overrides: tuple[Override, ...]


@dataclass(frozen=True)
class _Inputs:
    """Everything that one evaluation reads."""

    latest: dict[str, dict[Ref, LatestValue]]
    windows: dict[SeriesKey, Points]
    scopes: dict[Ref, Scope]
    linked: set[UUID]
    episodes: dict[tuple[UUID, Ref], Alert]
    recovered: dict[tuple[UUID, Ref], datetime]
    # By event type and entity: when its state changed.
    state_changes: dict[str, dict[Ref, list[datetime]]]
    maintenance_windows: Sequence[ActiveWindow]
    uptime: IngestUptime

    def maintenance_of(self, ref: Ref) -> UUID | None:
        """The active maintenance window that covers an entity."""
        scope = self.scopes.get(ref, NO_SCOPE)
        found = covering_window(
            self.maintenance_windows, device_id=scope.device_id, site_id=scope.site_id
        )
        return found.id if found else None


def evaluate_tenant(*, tenant_id: UUID, at: datetime) -> int:
    """Update every alert of a tenant to its current state; returns the number of changes.

    Idempotent at one moment. One evaluator at a time per tenant (advisory lock); a second one returns at once.
    The number of read queries does not grow with the number of entities.
    """
    with acting_in(tenant_id):
        if not try_lock(TenantLock.EVALUATE):
            return 0
        rules = _load_rules()
        inputs = _load_inputs(rules, at)
        transitions = [row for loaded in rules for row in _evaluate_rule(loaded, inputs, at)]
        _write(transitions, inputs, at)
        _update_maintenance(inputs)
    return len(transitions)


def _load_rules() -> list[_LoadedRule]:
    overrides: dict[UUID, list[Override]] = defaultdict(list)
    for row in RuleOverride.objects.order_by("pk"):
        overrides[row.rule_id].append(
            make_override(level=row.level, target=row.target, changes=row.changes, label=row.reason)
        )
    # The document has only the initial value of `enabled`; the tenant's setting is on the row.
    return [
        _LoadedRule(
            row,
            replace(compile_rule(row.document), is_enabled=row.is_enabled),
            tuple(overrides[row.id]),
        )
        for row in AlertRule.objects.order_by("key")
    ]


def _load_inputs(rules: Iterable[_LoadedRule], at: datetime) -> _Inputs:
    rules = list(rules)
    metrics = {metric for loaded in rules for metric in loaded.rule.metrics}
    latest: dict[str, dict[Ref, LatestValue]] = defaultdict(dict)
    for key, value in queries.latest(metrics=metrics).items():
        if not key.labels:
            latest[key.metric][key.entity_type, key.entity_id] = value
    windowed = [
        loaded.rule.condition
        for loaded in rules
        if isinstance(loaded.rule.condition, Threshold)
        and loaded.rule.condition.aggregation is not Aggregation.LAST
    ]
    windows: dict[SeriesKey, Points] = {}
    if windowed:
        longest = max(condition.lookback_seconds for condition in windowed)
        windows = queries.windows(
            metrics={condition.metric for condition in windowed},
            since=at - timedelta(seconds=longest),
            until=at,
        )
    open_alerts = Alert.objects.exclude(state=AlertState.OK)
    return _Inputs(
        latest=latest,
        windows=windows,
        scopes=scope_attributes(),
        linked=linked_interface_ids(),
        episodes={(a.rule_id, (a.entity_type, a.entity_id)): a for a in open_alerts},
        recovered=_last_recoveries(rules, at),
        state_changes=_state_changes(rules, at),
        maintenance_windows=active_windows(at),
        uptime=ingest_uptime(at),
    )


def _state_changes(
    rules: Iterable[_LoadedRule], at: datetime
) -> dict[str, dict[Ref, list[datetime]]]:
    """State changes within the longest window of the rules with flap detection."""
    window_by_event = {
        STATE_CHANGE_EVENTS[loaded.rule.condition.metric]: loaded.rule.flap.window_seconds
        for loaded in sorted(
            rules, key=lambda row: row.rule.flap.window_seconds if row.rule.flap else 0
        )
        if loaded.rule.flap and loaded.row.is_enabled
    }
    if not window_by_event:
        return {}
    since = at - timedelta(seconds=max(window_by_event.values()))
    found: dict[str, dict[Ref, list[datetime]]] = {}
    changes = queries.state_changes(event_types=window_by_event, since=since, until=at)
    for event_type, rows in changes.items():
        by_entity = found.setdefault(event_type, defaultdict(list))
        for row in rows:
            by_entity[row.entity_type, row.entity_id].append(row.ts)
    return found


def _last_recoveries(
    rules: Iterable[_LoadedRule], at: datetime
) -> dict[tuple[UUID, Ref], datetime]:
    """Last recovery of the alerts of rules with a cooldown."""
    cooldowns = {
        loaded.row.id: loaded.rule.timing.cooldown_seconds
        for loaded in rules
        if loaded.rule.timing.cooldown_seconds
    }
    if not cooldowns:
        return {}
    rows = Alert.objects.filter(
        rule_id__in=cooldowns, recovered_at__gt=at - timedelta(seconds=max(cooldowns.values()))
    ).order_by("recovered_at")
    return {
        (row.rule_id, (row.entity_type, row.entity_id)): row.recovered_at
        for row in rows
        if row.recovered_at
    }


@dataclass(frozen=True)
class _Transition:
    loaded: _LoadedRule
    ref: Ref
    alert: Alert | None
    before: Episode
    after: Episode
    evaluation: Evaluation | None
    effective: Effective
    flapping: Flapping | None = None


def _evaluate_rule(loaded: _LoadedRule, inputs: _Inputs, at: datetime) -> Iterator[_Transition]:
    rule = loaded.rule
    for ref in inputs.latest[rule.condition.metric]:
        scope = inputs.scopes.get(ref, NO_SCOPE)
        if not _in_scope(rule, ref, scope, inputs.linked):
            continue
        effective = resolve(rule, loaded.overrides, _attributes(scope))
        alert = inputs.episodes.get((loaded.row.id, ref))
        before = _episode(alert, inputs.recovered.get((loaded.row.id, ref)))
        is_on = loaded.row.is_enabled and effective.is_enabled and _is_gate_met(rule, ref, inputs)
        if not is_on and alert is None:
            continue
        if not is_on:
            after, evaluation, flapping = _disabled(before, at), None, None
        else:
            evaluation = _evaluate(rule, effective, ref, inputs, at)
            flapping = _flapping(rule, before, ref, inputs, at)
            after = step(before, evaluation, effective.timing, at, flapping)
        if after != before:
            yield _Transition(loaded, ref, alert, before, after, evaluation, effective, flapping)


def _flapping(
    rule: Rule, before: Episode, ref: Ref, inputs: _Inputs, at: datetime
) -> Flapping | None:
    state_changes = inputs.state_changes.get(
        STATE_CHANGE_EVENTS.get(rule.condition.metric, ""), {}
    ).get(ref)
    if rule.flap is None or not state_changes:
        return None
    return detect_flapping(rule.flap, state_changes, at, was_flapping=before.is_flapping)


def _disabled(before: Episode, at: datetime) -> Episode:
    """A disabled rule or override, or an unmet gate, ends the alert."""
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


def _is_gate_met(rule: Rule, ref: Ref, inputs: _Inputs) -> bool:
    if rule.gate is None:
        return True
    value = inputs.latest[rule.gate.metric].get(ref)
    return value is None or value.value == rule.gate.equals


def _evaluate(
    rule: Rule, effective: Effective, ref: Ref, inputs: _Inputs, at: datetime
) -> Evaluation | None:
    condition = rule.condition
    value = inputs.latest[condition.metric][ref]
    if isinstance(condition, Absence):
        return _absence(condition, value.ts, inputs.uptime, at)
    if (
        value.is_late
    ):  # a buffered sample says nothing about the current state; newer ones are still to come
        return None
    if isinstance(condition, StateIs):
        return evaluate_state(condition, value.ts, value.text or "", at)
    points: Points = []
    if condition.aggregation is not Aggregation.LAST:
        points = inputs.windows.get(SeriesKey(*ref, condition.metric), [])
    elif value.value is not None:
        points = [(value.ts, value.value)]
    return evaluate_threshold(
        condition,
        points,
        at,
        threshold=condition.threshold if effective.threshold is None else effective.threshold,
        recover=condition.recover if effective.recover is None else effective.recover,
    )


def _absence(
    condition: Absence, ts: datetime, uptime: IngestUptime, at: datetime
) -> Evaluation | None:
    """None where ingest was down within the lookback: samples may be missing because of that."""
    evaluation = evaluate_absence(condition, ts, at)
    lookback_start = at - timedelta(seconds=condition.lookback_seconds)
    return None if evaluation.is_breach and not uptime.covers(lookback_start) else evaluation


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
    )


def _update_maintenance(inputs: _Inputs) -> None:
    """Update the maintenance window of each open alert; its state is independent of it."""
    changed: dict[UUID | None, list[UUID]] = defaultdict(list)
    for (_, ref), alert in inputs.episodes.items():
        maintenance_id = inputs.maintenance_of(ref)
        if alert.maintenance_id != maintenance_id:
            changed[maintenance_id].append(alert.pk)
    for maintenance_id, alert_ids in changed.items():
        Alert.objects.filter(pk__in=alert_ids).update(maintenance_id=maintenance_id)


def _write(transitions: list[_Transition], inputs: _Inputs, at: datetime) -> None:
    if not transitions:
        return
    labels = labels_of(transition.ref for transition in transitions)
    for transition in transitions:
        _write_transition(
            transition, labels.get(transition.ref, ""), inputs.maintenance_of(transition.ref), at
        )


def _write_transition(
    transition: _Transition, label: str, maintenance_id: UUID | None, at: datetime
) -> None:
    after = transition.after
    if after.state is AlertState.OK and transition.before.fired_at is None:
        if transition.alert is not None:
            transition.alert.delete()
        return
    observation = _observation(transition)
    alert = transition.alert or Alert(
        rule=transition.loaded.row,
        entity_type=transition.ref[0],
        entity_id=transition.ref[1],
        observation=observation,
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
    alert.maintenance_id = maintenance_id
    if after.state in {AlertState.PENDING, AlertState.FIRING}:
        alert.observation = observation
        message = _summary(transition, label)
        alert.summary = message.english[:500]
        alert.summary_message = message
    alert.save()
    if after.state is AlertState.PENDING:
        return
    AlertTransition.objects.create(
        alert=alert,
        at=at,
        from_state=transition.before.state,
        to_state=after.state,
        observation=observation,
    )
    outbox.emit(
        topic=TRANSITION,
        key=str(alert.id),
        payload={
            "alert_id": str(alert.id),
            "rule": transition.loaded.rule.key,
            "entity_type": alert.entity_type,
            "entity_id": str(alert.entity_id),
            "from": transition.before.state.value,
            "to": after.state.value,
            "at": at.isoformat(),
        },
    )


def _observation(transition: _Transition) -> dict[str, object]:
    evaluation = transition.evaluation
    message = evaluation.message if evaluation else None
    return {
        "value": evaluation.value_text if evaluation else None,
        "code": message.code if message else "",
        "params": message.plain_params if message else {},
        "ts": evaluation.ts.isoformat() if evaluation else None,
        "threshold": transition.effective.threshold,
        "for_seconds": transition.effective.timing.for_seconds,
        "override": transition.effective.override,
        "metric": transition.loaded.rule.condition.metric,
        "state_changes": transition.flapping.state_changes if transition.flapping else None,
    }


def _summary(transition: _Transition, label: str) -> Message:
    rule, evaluation = transition.loaded.rule, transition.evaluation
    if transition.flapping is not None and rule.flap is not None:
        changes, seconds = transition.flapping.state_changes, rule.flap.window_seconds
        return Message(FLAPPING, {"entity": label, "changes": changes, "seconds": seconds})
    value_text = evaluation.value_text if evaluation else ""
    device = label.partition(" ")[0]
    threshold = transition.effective.threshold
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
