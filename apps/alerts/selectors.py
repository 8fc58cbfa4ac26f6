"""Reads of alerts and their rules."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from apps.agents.selectors import agent_labels
from apps.alerts.choices import AlertState, Severity
from apps.alerts.models import Alert, AlertRule
from apps.alerts.packs import load_pack, shipped_packs
from apps.authorization.access import Access
from apps.core.messages import Message
from apps.inventory.choices import DeviceRole
from apps.inventory.selectors import Ref, entity_labels

RECENTLY_RECOVERED = timedelta(minutes=10)


@dataclass(frozen=True)
class CorrelatedAlert:
    """An alert as input to correlation."""

    id: UUID
    rule: str
    symptom: str
    entity_type: str
    entity_id: UUID
    state: str
    severity: str
    since: datetime
    fired_at: datetime | None
    clear_since: datetime | None
    recovered_at: datetime | None
    summary: str
    summary_message: Message
    is_flapping: bool = False


def alerts_for_correlation(at: datetime) -> list[CorrelatedAlert]:
    """Open alerts and those that recovered in the last minutes, by id. One query."""
    rows = (
        Alert.objects.filter(
            Q(state__in=[AlertState.PENDING, AlertState.FIRING, AlertState.RECOVERING])
            | Q(recovered_at__gt=at - RECENTLY_RECOVERED)
        )
        .select_related("rule")
        .order_by("pk")
    )
    return [
        CorrelatedAlert(
            id=row.id,
            rule=row.rule.key,
            symptom=row.rule.document.get("symptom", "soft"),
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            state=row.state,
            severity=row.severity,
            since=row.since,
            fired_at=row.fired_at,
            clear_since=row.clear_since,
            recovered_at=row.recovered_at,
            summary=row.summary,
            summary_message=row.summary_message,
            is_flapping=row.is_flapping,
        )
        for row in rows
    ]


def open_alert_counts(
    access: Access, entity_ids: Collection[UUID] | None = None
) -> dict[UUID, int]:
    """Number of open alerts per entity, for these or for all; entities without one are absent. One query."""
    rows = Alert.objects.visible_to(access).open()
    if entity_ids is not None:
        rows = rows.filter(entity_id__in=entity_ids)
    return dict(rows.values_list("entity_id").annotate(Count("pk")))


def labels_of(refs: Iterable[Ref]) -> dict[Ref, str]:
    """Display names of the entities that alerts are about, agents included. One query per type."""
    refs = list(refs)
    labels = entity_labels(refs)
    agents = {pk for entity_type, pk in refs if entity_type == "agent"}
    if agents:
        labels |= {("agent", pk): name for pk, name in agent_labels(agents).items()}
    return labels


def rules_with_severity(rules: QuerySet[AlertRule], severity: str) -> QuerySet[AlertRule]:
    """The rules that can raise an alert of this severity, for at least one role."""
    matches = Q(document__severity=severity)
    for role in ("default", *DeviceRole.values):
        matches |= Q(**{f"document__severity__{role}": severity})
    if severity == Severity.WARN:
        # Severity by role without a default: other roles get a warning (see compile_rule).
        matches |= Q(document__severity__default__isnull=True) & ~Q(
            document__severity__in=Severity.values
        )
    return rules.filter(matches)


def shipped_rule_keys() -> dict[str, str]:
    """Every shipped rule's key and its runbook."""
    return {
        rule["id"]: rule["annotations"]["runbook"]
        for pack in shipped_packs()
        for rule in load_pack(pack)
    }
