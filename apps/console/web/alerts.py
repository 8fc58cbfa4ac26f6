"""Open alerts: the value that decided, its threshold, and the incident of each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from agent.protocol.registry import METRICS, Kind
from apps.alerts.choices import AlertState
from apps.alerts.lists import ALERTS, SEVERITY_RANK
from apps.alerts.messages import rule_name
from apps.alerts.models import Alert
from apps.alerts.selectors import labels_of
from apps.authorization.access import Access
from apps.core.messages import render
from apps.incidents.selectors import AlertIncident, incidents_of_alerts, suppressed_alerts
from apps.inventory.device_entities import devices_of_entities
from apps.inventory.selectors import visible_device_ids
from apps.pages.durations import format_duration
from apps.pages.lists import ListParams
from apps.pages.ordering import Column, Heading, Ordering, headings
from apps.pages.paging import Pager, paginate
from apps.pages.params import query_string
from apps.pages.states import SEVERITIES, SUPPRESSED, State

COLUMNS = (
    Column("what", _lazy("Alert")),
    Column("state", _lazy("State")),
    Column("seen", _lazy("Value"), can_sort=False),
    Column("incident", _lazy("Incident"), can_sort=False),
    Column("for", _lazy("Duration"), is_number=True),
)


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
    value: str
    since: datetime
    duration: str
    incident_id: UUID | None
    incident_number: int | None
    #: Why it is suppressed; empty when it is not.
    suppression_reason: str


@dataclass(frozen=True)
class SeverityChoice:
    """One value of the filter."""

    value: str
    label: str
    number: int
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class AlertsPage:
    """Open alerts of one severity, or all."""

    filter: ListParams
    severities: tuple[SeverityChoice, ...]
    headings: tuple[Heading, ...]
    rows: tuple[AlertRow, ...]
    pager: Pager
    all: int


def alerts_page(access: Access, params: ListParams, *, number: int, at: datetime) -> AlertsPage:
    """At most twelve queries, whatever the size."""
    every = Alert.objects.visible_to(access).open()
    counted = dict(every.values_list("severity").annotate(Count("pk")))
    rows, pager = paginate(filtered_alerts(access, params), number=number, params=params.params())
    words = (("", _("All")), *((key, str(state.word)) for key, state in SEVERITIES.items()))
    return AlertsPage(
        filter=params,
        severities=tuple(
            SeverityChoice(
                key,
                word,
                counted.get(key, 0) if key else sum(counted.values()),
                query_string({**params.params(), "severity": key}),
                key == params.texts["severity"],
            )
            for key, word in words
        ),
        headings=headings(COLUMNS, params.order, params.filter_params()),
        rows=alert_rows(access, rows, at=at),
        pager=pager,
        all=sum(counted.values()),
    )


def alert_params(request: HttpRequest) -> ListParams:
    """The filter and the sort order of the URL."""
    return ALERTS.request_params(request, columns=tuple(c.key for c in COLUMNS if c.can_sort))


def filtered_alerts(access: Access, params: ListParams) -> QuerySet[Alert]:
    """The alerts of one filter, in its order."""
    rows = ALERTS.narrowed(
        Alert.objects.visible_to(access).select_related("rule"), params.values, access
    )
    order = params.order
    if order.key in ("", "state"):
        rows = worst_first(access, rows)
        return rows.reverse() if order.descends else rows
    if order.key == "what":
        return ALERTS.sorted(rows, Ordering("summary", order.descends))
    if order.key == "for":  # the longest began first
        return ALERTS.sorted(rows, Ordering("since", not order.descends))
    return ALERTS.sorted(rows, order)


def worst_first(access: Access, alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Consequences after what caused them, then by severity, then the newest."""
    is_suppressed = Exists(suppressed_alerts(access).filter(alert=OuterRef("pk")))
    return alerts.annotate(is_suppressed=is_suppressed, rank=SEVERITY_RANK).order_by(
        "is_suppressed", "rank", "-since", "-pk"
    )


def alert_rows(access: Access, alerts: list[Alert], *, at: datetime) -> tuple[AlertRow, ...]:
    """Alerts as rows. A query for the incidents, one for the devices, one per kind of entity."""
    refs = {(alert.entity_type, alert.entity_id) for alert in alerts}
    labels = labels_of(refs)
    devices = devices_of_entities({entity_id for _kind, entity_id in refs})
    visible = visible_device_ids(access, devices.values())
    incidents = incidents_of_alerts(access, [alert.id for alert in alerts])
    return tuple(
        _row(
            alert,
            labels.get((alert.entity_type, alert.entity_id), _("deleted")),
            device_id if (device_id := devices.get(alert.entity_id)) in visible else None,
            incidents.get(alert.id),
            at,
        )
        for alert in alerts
    )


def _row(
    alert: Alert,
    entity: str,
    device_id: UUID | None,
    incident_row: AlertIncident | None,
    at: datetime,
) -> AlertRow:
    suppression_reason = incident_row.suppression_reason if incident_row else ""
    return AlertRow(
        id=alert.id,
        state=SUPPRESSED if suppression_reason else SEVERITIES[alert.severity],
        is_recovering=alert.state == AlertState.RECOVERING,
        is_flapping=alert.is_flapping,
        in_maintenance=alert.maintenance_id is not None,
        summary=str(alert.summary_message),
        entity=entity,
        device_id=device_id,
        rule=rule_name(alert.rule.document) or alert.rule.key,
        symptom=alert.rule.document.get("symptom", "soft"),
        value=_value(alert.observation),
        since=alert.since,
        duration=format_duration(alert.since, at),
        incident_id=incident_row.incident_id if incident_row else None,
        incident_number=incident_row.number if incident_row else None,
        suppression_reason=suppression_reason,
    )


def _value(seen: dict[str, Any]) -> str:
    """The value that decided, and the threshold that it crossed."""
    if seen.get("code"):
        return render(seen["code"], seen["params"])
    value, bound = seen.get("value"), seen.get("threshold")
    if value in {None, ""}:
        return ""
    name = seen.get("metric", "")
    read = f"{name} = {value}"
    metric = METRICS.get(name)
    if bound is None or metric is None or metric.kind is Kind.BOOL:
        return read
    return _("%(value)s, threshold %(threshold)g") % {"value": read, "threshold": bound}
