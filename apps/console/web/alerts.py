"""Open alerts: what was seen, against which bound, and under which incident they stand."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Exists, IntegerField, OuterRef, QuerySet, Value, When
from django.utils.translation import gettext as _

from agent.protocol.registry import METRICS, Kind
from apps.accounts.access import Access
from apps.alerts.choices import AlertState
from apps.alerts.models import Alert
from apps.alerts.selectors import labels_of, open_alerts
from apps.core.page import SEVERITIES, SUPPRESSED, Pager, State, lasting, paged
from apps.incidents.selectors import Place, held_alerts, places_of
from apps.inventory.parts import devices_of
from apps.inventory.selectors import seen_devices_of


@dataclass(frozen=True)
class AlertRow:
    """One alert."""

    id: UUID
    state: State
    is_recovering: bool
    is_flapping: bool
    in_maintenance: bool
    summary: str
    entity: str
    device_id: UUID | None
    rule: str
    symptom: str
    seen: str
    since: datetime
    lasting: str
    incident_id: UUID | None
    incident_number: int | None
    #: Why it is held back, empty when it is not.
    held_because: str


@dataclass(frozen=True)
class SeverityChoice:
    """One value of the filter."""

    value: str
    label: str
    number: int
    is_chosen: bool


@dataclass(frozen=True)
class AlertsPage:
    """Open alerts of one severity, or all."""

    severity: str
    severities: tuple[SeverityChoice, ...]
    rows: tuple[AlertRow, ...]
    pager: Pager
    all: int


def alerts_page(access: Access, *, severity: str, number: int, at: datetime) -> AlertsPage:
    """At most twelve queries, whatever the size."""
    every = open_alerts(access)
    counted = dict(every.order_by().values_list("severity").annotate(Count("pk")))
    chosen = every.filter(severity=severity) if severity else every
    rows, pager = paged(worst_first(access, chosen), number=number, asked={"severity": severity})
    words = (("", _("All")), *((key, str(state.word)) for key, state in SEVERITIES.items()))
    return AlertsPage(
        severity=severity,
        severities=tuple(
            SeverityChoice(
                key, word, counted.get(key, 0) if key else sum(counted.values()), key == severity
            )
            for key, word in words
        ),
        rows=alert_rows(access, rows, at=at),
        pager=pager,
        all=sum(counted.values()),
    )


def worst_first(access: Access, alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Consequences after what caused them, then by severity, then the newest."""
    ranks = [When(severity=key, then=Value(state.rank)) for key, state in SEVERITIES.items()]
    held = Exists(held_alerts(access).filter(alert=OuterRef("pk")))
    rank = Case(*ranks, default=Value(9), output_field=IntegerField())
    return alerts.annotate(is_held=held, rank=rank).order_by("is_held", "rank", "-since", "-pk")


def alert_rows(access: Access, alerts: list[Alert], *, at: datetime) -> tuple[AlertRow, ...]:
    """Alerts as rows. A query for the incidents, one for the devices, one per kind of entity."""
    refs = {(alert.entity_type, alert.entity_id) for alert in alerts}
    labels = labels_of(refs)
    devices = devices_of({entity_id for _kind, entity_id in refs})
    seen = seen_devices_of(access, devices.values())
    places = places_of(access, [alert.id for alert in alerts])
    return tuple(
        _row(
            alert,
            labels.get((alert.entity_type, alert.entity_id), _("gone")),
            device_id if (device_id := devices.get(alert.entity_id)) in seen else None,
            places.get(alert.id),
            at,
        )
        for alert in alerts
    )


def _row(
    alert: Alert, entity: str, device_id: UUID | None, place: Place | None, at: datetime
) -> AlertRow:
    held_because = place.held_because if place else ""
    return AlertRow(
        id=alert.id,
        state=SUPPRESSED if held_because else SEVERITIES[alert.severity],
        is_recovering=alert.state == AlertState.RECOVERING,
        is_flapping=alert.is_flapping,
        in_maintenance=alert.maintenance_id is not None,
        summary=alert.summary,
        entity=entity,
        device_id=device_id,
        rule=alert.rule.document.get("name", alert.rule.key),
        symptom=alert.rule.document.get("symptom", "soft"),
        seen=_seen(alert.seen),
        since=alert.since,
        lasting=lasting(alert.since, at),
        incident_id=place.incident_id if place else None,
        incident_number=place.number if place else None,
        held_because=held_because,
    )


def _seen(seen: dict[str, Any]) -> str:
    """The reading that decided, and the bound that it broke."""
    value, bound = seen.get("value"), seen.get("threshold")
    if value in {None, ""}:
        return ""
    name = seen.get("metric", "")
    read = f"{name} = {value}"
    metric = METRICS.get(name)
    if bound is None or metric is None or metric.kind is Kind.BOOL:
        return read
    return _("%(read)s, bound %(bound)g") % {"read": read, "bound": bound}
