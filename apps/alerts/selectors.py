"""Reads of alerts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from apps.alerts.choices import AlertState
from apps.alerts.models import Alert
from apps.alerts.packs import load_pack, shipped_packs

REMEMBERED = timedelta(minutes=10)


@dataclass(frozen=True)
class CorrelatedAlert:
    """An alert as correlation sees it."""

    id: UUID
    rule: str
    symptom: str
    entity_type: str
    entity_id: UUID
    state: str
    severity: str
    since: datetime
    fired_at: datetime | None
    well_since: datetime | None
    recovered_at: datetime | None
    summary: str
    seen: dict[str, Any]


def alerts_for_correlation(at: datetime) -> list[CorrelatedAlert]:
    """Every alert that is open, and those that recovered in the last minutes, by id. One query."""
    rows = (
        Alert.objects.filter(
            Q(state__in=[AlertState.PENDING, AlertState.FIRING, AlertState.RECOVERING])
            | Q(recovered_at__gt=at - REMEMBERED)
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
            well_since=row.well_since,
            recovered_at=row.recovered_at,
            summary=row.summary,
            seen=row.seen,
        )
        for row in rows
    ]


def shipped_rule_keys() -> dict[str, str]:
    """Every shipped rule's key and its runbook."""
    return {
        rule["id"]: rule["annotations"]["runbook"]
        for pack in shipped_packs()
        for rule in load_pack(pack)
    }
