"""Looking at every rule of a tenant at one moment, and writing down only what moved."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from apps.alerts.choices import AlertState
from apps.alerts.models import Alert, AlertRule, AlertTransition, RuleOverride
from apps.alerts.rules.compile import compile_rule, make_override, render_summary
from apps.alerts.rules.conditions import (
    Reading,
    judge_absence,
    judge_state,
    judge_threshold,
)
from apps.alerts.rules.flapping import Flapping, judge_flapping
from apps.alerts.rules.machine import Episode, step
from apps.alerts.rules.overrides import Effective, Standing, resolve
from apps.alerts.rules.program import (
    TURNS,
    Absence,
    Aggregation,
    Override,
    Rule,
    StateIs,
    Threshold,
)
from apps.alerts.selectors import labels_of
from apps.events import outbox
from apps.ingest.listening import Ears, ears
from apps.inventory.selectors import (
    Ref,
    Scope,
    linked_interface_ids,
    scope_attributes,
)
from apps.maintenance.coverage import ActiveWindow, covering
from apps.maintenance.selectors import active_windows
from apps.telemetry import queries
from apps.telemetry.queries import LatestValue, Points
from apps.telemetry.store import SeriesKey
from apps.tenancy import acting_in

EVALUATE = "alerts.evaluate"
TRANSITION = "alert.transition"
NOWHERE = Scope(None, "", None, ())


@dataclass(frozen=True)
class _Loaded:
    row: AlertRule
    rule: Rule
    overrides: tuple[Override, ...]


@dataclass(frozen=True)
class _Seen:
    """Everything read for one evaluation."""

    latest: dict[str, dict[Ref, LatestValue]]
    windows: dict[SeriesKey, Points]
    scopes: dict[Ref, Scope]
    linked: set[UUID]
    episodes: dict[tuple[UUID, Ref], Alert]
    recovered: dict[tuple[UUID, Ref], datetime]
    # By event type: when each entity changed.
    turns: dict[str, dict[Ref, list[datetime]]]
    windows_open: Sequence[ActiveWindow]
    ears: Ears

    def maintenance_of(self, ref: Ref) -> UUID | None:
        """The announced work that covers an entity."""
        scope = self.scopes.get(ref, NOWHERE)
        found = covering(self.windows_open, device_id=scope.device_id, site_id=scope.site_id)
        return found.id if found else None


def evaluate_tenant(*, tenant_id: UUID, at: datetime) -> int:
    """Move every alert of a tenant to where it stands now; returns how many moved.

    Idempotent at one moment. One evaluator at a time per tenant (advisory lock); another leaves at once.
    A number of queries that does not grow with entities, plus the writes.
    """
    with acting_in(tenant_id):
        if not _try_lock(tenant_id):
            return 0
        rules = _load_rules()
        seen = _read(rules, at)
        moves = [move for loaded in rules for move in _judge_rule(loaded, seen, at)]
        _write(moves, seen, at)
        _overlay(seen)
    return len(moves)


def _try_lock(tenant_id: UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"evaluate:{tenant_id}"]
        )
        return bool(cursor.fetchone()[0])


def _load_rules() -> list[_Loaded]:
    overrides: dict[UUID, list[Override]] = defaultdict(list)
    for row in RuleOverride.objects.order_by("pk"):
        overrides[row.rule_id].append(
            make_override(level=row.level, target=row.target, changes=row.changes, label=row.reason)
        )
    # The document only says how a rule starts; the tenant's switch stands on the row.
    return [
        _Loaded(
            row,
            replace(compile_rule(row.document), is_enabled=row.is_enabled),
            tuple(overrides[row.id]),
        )
        for row in AlertRule.objects.order_by("key")
    ]


def _read(rules: Iterable[_Loaded], at: datetime) -> _Seen:
    rules = list(rules)
    metrics = {metric for loaded in rules for metric in loaded.rule.metrics}
    latest: dict[str, dict[Ref, LatestValue]] = defaultdict(dict)
    for key, value in queries.latest(metrics=metrics).items():
        if not key.labels:
            latest[key.metric][key.entity_type, key.entity_id] = value
    over_time = [
        loaded.rule.condition
        for loaded in rules
        if isinstance(loaded.rule.condition, Threshold)
        and loaded.rule.condition.aggregation is not Aggregation.LAST
    ]
    windows: dict[SeriesKey, Points] = {}
    if over_time:
        longest = max(condition.lookback_seconds for condition in over_time)
        windows = queries.windows(
            metrics={condition.metric for condition in over_time},
            since=at - timedelta(seconds=longest),
            until=at,
        )
    open_alerts = Alert.objects.exclude(state=AlertState.OK)
    return _Seen(
        latest=latest,
        windows=windows,
        scopes=scope_attributes(),
        linked=linked_interface_ids(),
        episodes={(a.rule_id, (a.entity_type, a.entity_id)): a for a in open_alerts},
        recovered=_last_recoveries(rules, at),
        turns=_turns(rules, at),
        windows_open=active_windows(at),
        ears=ears(at),
    )


def _turns(rules: Iterable[_Loaded], at: datetime) -> dict[str, dict[Ref, list[datetime]]]:
    """Changes of state within the longest window of the rules that know flapping."""
    asking = {
        TURNS[loaded.rule.condition.metric]: loaded.rule.flap.window_seconds
        for loaded in sorted(
            rules, key=lambda row: row.rule.flap.window_seconds if row.rule.flap else 0
        )
        if loaded.rule.flap and loaded.row.is_enabled
    }
    if not asking:
        return {}
    since = at - timedelta(seconds=max(asking.values()))
    found: dict[str, dict[Ref, list[datetime]]] = {}
    for event_type, rows in queries.turns(event_types=asking, since=since, until=at).items():
        mine = found.setdefault(event_type, defaultdict(list))
        for turn in rows:
            mine[turn.entity_type, turn.entity_id].append(turn.ts)
    return found


def _last_recoveries(rules: Iterable[_Loaded], at: datetime) -> dict[tuple[UUID, Ref], datetime]:
    """When alerts of rules with a cooldown recovered last."""
    cooling = {
        loaded.row.id: loaded.rule.timing.cooldown_seconds
        for loaded in rules
        if loaded.rule.timing.cooldown_seconds
    }
    if not cooling:
        return {}
    rows = Alert.objects.filter(
        rule_id__in=cooling, recovered_at__gt=at - timedelta(seconds=max(cooling.values()))
    ).order_by("recovered_at")
    return {
        (row.rule_id, (row.entity_type, row.entity_id)): row.recovered_at
        for row in rows
        if row.recovered_at
    }


@dataclass(frozen=True)
class _Move:
    loaded: _Loaded
    ref: Ref
    alert: Alert | None
    before: Episode
    after: Episode
    reading: Reading | None
    effective: Effective
    flapping: Flapping | None = None


def _judge_rule(loaded: _Loaded, seen: _Seen, at: datetime) -> Iterator[_Move]:
    rule = loaded.rule
    for ref in seen.latest[rule.condition.metric]:
        scope = seen.scopes.get(ref, NOWHERE)
        if not _in_scope(rule, ref, scope, seen.linked):
            continue
        effective = resolve(rule, loaded.overrides, _standing(scope))
        alert = seen.episodes.get((loaded.row.id, ref))
        before = _episode(alert, seen.recovered.get((loaded.row.id, ref)))
        is_on = loaded.row.is_enabled and effective.is_enabled and _gate_is_open(rule, ref, seen)
        if not is_on and alert is None:
            continue
        if not is_on:
            after, reading, flapping = _switched_off(before, at), None, None
        else:
            reading = _judge(rule, effective, ref, seen, at)
            flapping = _flapping(rule, before, ref, seen, at)
            after = step(before, reading, effective.timing, at, flapping)
        if after != before:
            yield _Move(loaded, ref, alert, before, after, reading, effective, flapping)


def _flapping(rule: Rule, before: Episode, ref: Ref, seen: _Seen, at: datetime) -> Flapping | None:
    turns = seen.turns.get(TURNS.get(rule.condition.metric, ""), {}).get(ref)
    if rule.flap is None or not turns:
        return None
    return judge_flapping(rule.flap, turns, at, was_flapping=before.is_flapping)


def _switched_off(before: Episode, at: datetime) -> Episode:
    """A rule, an override or an operator's "disabled" ends the alert: there is nothing to be wrong any more."""
    return Episode(state=AlertState.OK, recovered_at=at if before.fired_at else None)


def _in_scope(rule: Rule, ref: Ref, scope: Scope, linked: set[UUID]) -> bool:
    wanted = rule.scope
    return (
        ref[0] == wanted.entity_type
        and (not wanted.roles or scope.role in wanted.roles)
        and (not wanted.tags or bool(wanted.tags & set(scope.tags)))
        and (not wanted.site_ids or str(scope.site_id) in wanted.site_ids)
        and (not wanted.device_ids or str(scope.device_id) in wanted.device_ids)
        and (not wanted.only_linked or ref[1] in linked)
    )


def _standing(scope: Scope) -> Standing:
    return Standing(
        str(scope.device_id or ""), scope.role, str(scope.site_id or ""), frozenset(scope.tags)
    )


def _gate_is_open(rule: Rule, ref: Ref, seen: _Seen) -> bool:
    if rule.gate is None:
        return True
    value = seen.latest[rule.gate.metric].get(ref)
    return value is None or value.value == rule.gate.equals


def _judge(rule: Rule, effective: Effective, ref: Ref, seen: _Seen, at: datetime) -> Reading | None:
    condition = rule.condition
    value = seen.latest[condition.metric][ref]
    if isinstance(condition, Absence):
        return _heard_silence(condition, value.ts, seen.ears, at)
    if value.is_late:  # it tells of the past; how things are now is still on its way
        return None
    if isinstance(condition, StateIs):
        return judge_state(condition, value.ts, value.text or "", at)
    points: Points = []
    if condition.aggregation is not Aggregation.LAST:
        points = seen.windows.get(SeriesKey(*ref, condition.metric), [])
    elif value.value is not None:
        points = [(value.ts, value.value)]
    return judge_threshold(
        condition,
        points,
        at,
        threshold=condition.threshold if effective.threshold is None else effective.threshold,
        recover=condition.recover if effective.recover is None else effective.recover,
    )


def _heard_silence(condition: Absence, ts: datetime, ears: Ears, at: datetime) -> Reading | None:
    """A silence while nobody could have heard anything says nothing."""
    reading = judge_absence(condition, ts, at)
    begins = at - timedelta(seconds=condition.lookback_seconds)
    return None if reading.is_breach and not ears.heard_all_since(begins) else reading


def _episode(alert: Alert | None, recovered_at: datetime | None) -> Episode:
    if alert is None:
        return Episode(recovered_at=recovered_at)
    return Episode(
        AlertState(alert.state),
        alert.since,
        alert.fired_at,
        alert.well_since,
        recovered_at,
        alert.is_flapping,
    )


def _overlay(seen: _Seen) -> None:
    """Say of each open alert whether announced work covers it: that lies over its state, which goes on moving."""
    moved: dict[UUID | None, list[UUID]] = defaultdict(list)
    for (_, ref), alert in seen.episodes.items():
        wanted = seen.maintenance_of(ref)
        if alert.maintenance_id != wanted:
            moved[wanted].append(alert.pk)
    for maintenance_id, alert_ids in moved.items():
        Alert.objects.filter(pk__in=alert_ids).update(maintenance_id=maintenance_id)


def _write(moves: list[_Move], seen: _Seen, at: datetime) -> None:
    if not moves:
        return
    labels = labels_of(move.ref for move in moves)
    for move in moves:
        _write_move(move, labels.get(move.ref, ""), seen.maintenance_of(move.ref), at)


def _write_move(move: _Move, label: str, maintenance_id: UUID | None, at: datetime) -> None:
    after = move.after
    if after.state is AlertState.OK and move.before.fired_at is None:
        if move.alert is not None:
            move.alert.delete()
        return
    seen = _what_was_seen(move)
    alert = move.alert or Alert(
        rule=move.loaded.row, entity_type=move.ref[0], entity_id=move.ref[1], seen=seen
    )
    alert.state = after.state
    alert.severity = move.effective.severity
    alert.since = after.since or alert.since
    alert.fired_at = after.fired_at or alert.fired_at
    # Once it is over, the moment of the first good reading stays: correlation asks for it.
    if after.state is not AlertState.OK:
        alert.well_since = after.well_since
    alert.recovered_at = after.recovered_at
    alert.is_flapping = after.is_flapping
    alert.maintenance_id = maintenance_id
    if after.state in {AlertState.PENDING, AlertState.FIRING}:
        alert.seen = seen
        alert.summary = _summary(move, label)
    alert.save()
    if after.state is AlertState.PENDING:
        return
    AlertTransition.objects.create(
        alert=alert, at=at, from_state=move.before.state, to_state=after.state, seen=seen
    )
    outbox.emit(
        topic=TRANSITION,
        key=str(alert.id),
        payload={
            "alert_id": str(alert.id),
            "rule": move.loaded.rule.key,
            "entity_type": alert.entity_type,
            "entity_id": str(alert.entity_id),
            "from": move.before.state.value,
            "to": after.state.value,
            "at": at.isoformat(),
        },
    )


def _what_was_seen(move: _Move) -> dict[str, object]:
    reading = move.reading
    return {
        "value": reading.seen if reading else None,
        "ts": reading.ts.isoformat() if reading else None,
        "threshold": move.effective.threshold,
        "for_seconds": move.effective.timing.for_seconds,
        "override": move.effective.override,
        "metric": move.loaded.rule.condition.metric,
        "turns": move.flapping.turns if move.flapping else None,
    }


def _summary(move: _Move, label: str) -> str:
    if move.flapping is not None:
        flap = move.loaded.rule.flap
        window = f" in {flap.window_seconds:g} s" if flap else ""
        return f"{label} is flapping: {move.flapping.turns} changes{window}"[:500]
    seen = move.reading.seen if move.reading else ""
    fields = {
        "entity.name": label,
        "device.name": label.partition(" ")[0],
        "value": seen,
        "state": seen,
        "threshold": "" if move.effective.threshold is None else f"{move.effective.threshold:g}",
    }
    return render_summary(move.loaded.rule.summary, fields)[:500]
