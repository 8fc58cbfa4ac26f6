"""Everything that one evaluation of a tenant's rules reads. The number of queries does not grow with the entities."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

import structlog

from apps.agents.selectors import monitored_agent_ids
from apps.alerts.choices import AlertState
from apps.alerts.errors import RuleInvalid
from apps.alerts.models import Alert, AlertRule, RuleOverride
from apps.alerts.rules.compile import compile_rule, make_override
from apps.alerts.rules.conditions import Reading
from apps.alerts.rules.program import STATE_CHANGE_EVENTS, Override, Rule
from apps.ingest.uptime import IngestUptime, ingest_uptime
from apps.inventory.intervals import PollIntervals
from apps.inventory.selectors import Ref, Scope, linked_interface_ids, scope_attributes
from apps.maintenance.coverage import ActiveWindow, covering_window
from apps.maintenance.selectors import active_windows
from apps.telemetry import queries
from apps.telemetry.queries import LatestValue, Points
from apps.telemetry.store import SeriesKey

log = structlog.get_logger(__name__)

NO_SCOPE = Scope(None, "", None, ())


@dataclass(frozen=True)
class LoadedRule:
    """A tenant's rule, compiled, with the tenant's own overrides."""

    row: AlertRule
    rule: Rule
    overrides: tuple[Override, ...]


@dataclass(frozen=True)
class Inputs:
    """Samples, open alerts, entities, maintenance windows and ingest's uptime at one moment."""

    latest: dict[str, dict[Ref, LatestValue]]
    history: dict[SeriesKey, Points]
    scopes: dict[Ref, Scope]
    linked: set[UUID]
    #: The agents that are expected to report.
    agents: set[UUID]
    open_alerts: dict[tuple[UUID, Ref], Alert]
    recovered: dict[tuple[UUID, Ref], datetime]
    # By event type and entity: when its state changed.
    state_changes: dict[str, dict[Ref, list[datetime]]]
    maintenance_windows: Sequence[ActiveWindow]
    uptime: IngestUptime
    poll_intervals: PollIntervals

    def is_known(self, ref: Ref) -> bool:
        """Whether the entity is (still) in the inventory."""
        return ref[1] in self.agents if ref[0] == "agent" else ref in self.scopes

    def scope_of(self, ref: Ref) -> Scope:
        return self.scopes.get(ref, NO_SCOPE)

    def reading_of(self, metric: str, ref: Ref) -> Reading:
        """What is known of a metric on an entity that has a sample of it."""
        value = self.latest[metric][ref]
        points = self.history.get(SeriesKey(*ref, metric), [])
        return Reading(value.ts, value.value, value.text, value.is_late, points, self.uptime.covers)

    def alerts_of(self, rule_id: UUID) -> list[Ref]:
        """The entities with an open alert of this rule."""
        return self._alerts_by_rule.get(rule_id, [])

    @cached_property
    def _alerts_by_rule(self) -> dict[UUID, list[Ref]]:
        found: dict[UUID, list[Ref]] = defaultdict(list)
        for rule_id, ref in self.open_alerts:
            found[rule_id].append(ref)
        return found

    def state_changes_of(self, metric: str, ref: Ref) -> list[datetime]:
        return self.state_changes.get(STATE_CHANGE_EVENTS.get(metric, ""), {}).get(ref, [])

    def maintenance_of(self, ref: Ref) -> UUID | None:
        """The active maintenance window that covers an entity."""
        scope = self.scope_of(ref)
        found = covering_window(
            self.maintenance_windows, device_id=scope.device_id, site_id=scope.site_id
        )
        return found.id if found else None


def load_rules() -> list[LoadedRule]:
    """Every rule of the tenant, the disabled ones too: their alerts end.

    A stored document that does not compile, such as one that an earlier version accepted, is reported in the log and
    left out: its alerts stay as they are, and the other rules are evaluated.
    """
    overrides: dict[UUID, list[Override]] = defaultdict(list)
    for override in RuleOverride.objects.order_by("pk"):
        overrides[override.rule_id].append(
            make_override(
                level=override.level,
                target=override.target,
                changes=override.changes,
                label=override.reason,
            )
        )
    loaded = []
    for row in AlertRule.objects.order_by("key"):
        try:
            rule = compile_rule(row.document)
        except RuleInvalid as error:
            log.warning("rule_not_compilable", rule=row.key, reason=error.message)
            continue
        # The document has only the initial value of `enabled`; the tenant's setting is on the row.
        rule = replace(rule, is_enabled=row.is_enabled)
        loaded.append(LoadedRule(row, rule, tuple(overrides[row.id])))
    return loaded


def load_inputs(rules: Sequence[LoadedRule], at: datetime) -> Inputs:
    """What these rules need at this moment."""
    metrics = {metric for loaded in rules for metric in loaded.rule.metrics}
    latest: dict[str, dict[Ref, LatestValue]] = defaultdict(dict)
    for key, value in queries.latest(metrics=metrics).items():
        if not key.labels:
            latest[key.metric][key.entity_type, key.entity_id] = value
    open_alerts = Alert.objects.exclude(state=AlertState.OK)
    return Inputs(
        latest=latest,
        history=_history(rules, at),
        scopes=scope_attributes(),
        linked=linked_interface_ids(),
        agents=monitored_agent_ids(),
        open_alerts={(a.rule_id, (a.entity_type, a.entity_id)): a for a in open_alerts},
        recovered=_last_recoveries(rules, at),
        state_changes=_state_changes(rules, at),
        maintenance_windows=active_windows(at),
        uptime=ingest_uptime(at),
        poll_intervals=PollIntervals(),
    )


def _history(rules: Iterable[LoadedRule], at: datetime) -> dict[SeriesKey, Points]:
    """The points of every metric whose condition reads more than the newest sample."""
    conditions = [row.rule.condition for row in rules if row.rule.condition.history_seconds]
    if not conditions:
        return {}
    longest = max(condition.history_seconds for condition in conditions)
    return queries.windows(
        metrics={condition.metric for condition in conditions},
        since=at - timedelta(seconds=longest),
        until=at,
    )


def _state_changes(
    rules: Iterable[LoadedRule], at: datetime
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


def _last_recoveries(rules: Iterable[LoadedRule], at: datetime) -> dict[tuple[UUID, Ref], datetime]:
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
