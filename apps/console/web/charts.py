"""The charts of a device page: the choices, and the data of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from agent.protocol.registry import METRICS
from apps.authorization.access import Access
from apps.charts.time_series import Chart, Line, Mark, gauge_line, span_for
from apps.console.web.device_parts import (
    CONNECT,
    LOSS,
    RTT,
    SESSIONS,
    hardware_speed,
    possible_rates,
)
from apps.incidents.selectors import incidents_involving
from apps.inventory.device_entities import DeviceEntities, entities_of_device
from apps.inventory.models import Device
from apps.inventory.profiles import poll_seconds
from apps.pages.time_range import TimeRange
from apps.telemetry.queries import BucketedRange, buckets_of, rates_of
from apps.telemetry.store import SeriesKey
from apps.telemetry.utilization import RX, TX

TRAFFIC, ANSWERS, LOAD, PPPOE = "traffic", "answers", "load", "sessions"
CPU, USED, WHOLE = "device.cpu_pct", "device.mem_used_bytes", "device.mem_total_bytes"
MAX_MARKS = 20
MAX_CHOICES = 120


@dataclass(frozen=True)
class ChartChoice:
    """One choice of chart; ``value`` is ``kind:part`` as in the URL."""

    value: str
    label: str
    is_chosen: bool


def chart_choices(device: Device, parts: DeviceEntities, *, chosen: str) -> tuple[ChartChoice, ...]:
    """Interfaces with a link come first."""
    ends = {
        link.a_interface_name if link.a_device_id == device.id else link.z_interface_name
        for link in parts.links
    }
    ports = sorted(parts.interfaces, key=lambda row: row.name not in ends)[:MAX_CHOICES]
    found = [
        *((f"{TRAFFIC}:{row.id}", _("Traffic, %(name)s") % {"name": row.name}) for row in ports),
        *(
            (f"{ANSWERS}:{row.id}", _("Response time and loss, %(name)s") % {"name": row.name})
            for row in parts.probe_targets
        ),
        *(
            (f"{PPPOE}:{row.id}", _("Sessions, %(name)s") % {"name": row.name})
            for row in parts.services
        ),
        (f"{LOAD}:{device.id}", _("CPU and memory")),
    ]
    if chosen not in {value for value, _label in found}:
        chosen = found[0][0]
    return tuple(ChartChoice(value, label, value == chosen) for value, label in found)


def device_chart(access: Access, device: Device, *, chosen: str, time_range: TimeRange) -> Chart:
    """The chart of the URL, else the first choice. At most ten queries."""
    parts = entities_of_device(device)
    choices = chart_choices(device, parts, chosen=chosen)
    kind, _colon, part = next(row.value for row in choices if row.is_chosen).partition(":")
    entity_id = UUID(part)
    metric = {TRAFFIC: RX, ANSWERS: RTT, LOAD: CPU, PPPOE: SESSIONS}[kind]
    seconds = poll_seconds(device.polling_profile, METRICS[metric].tier)
    cut = span_for(time_range.start, time_range.end, poll_seconds=seconds)
    if kind == TRAFFIC:
        port = next(row for row in parts.interfaces if row.id == entity_id)
        found = rates_of(metrics=[RX, TX], entity_ids=[entity_id], time_range=cut)
        rates = {
            name: possible_rates(
                found.get(SeriesKey("interface", port.id, name), ()), hardware_speed(port, None)
            )
            for name in (RX, TX)
        }
        lines = _traffic(rates)
    else:
        lines = _gauges(kind, entity_id, cut)
    involved = [device.id, entity_id]
    marks = tuple(
        Mark(
            at=row.started_at,
            until=row.ended_at or time_range.end,
            label=str(row),
            look=row.severity if row.is_open else "closed",
            url=reverse("incidents:detail", args=[row.id]),
        )
        for row in incidents_involving(access, involved, most=MAX_MARKS)
        if row.started_at <= time_range.end
        and (row.ended_at is None or row.ended_at >= time_range.start)
    )
    return Chart(cut, lines, marks)


def _traffic(rates: Mapping[str, list[float | None]]) -> tuple[Line, ...]:
    bits = {name: [None if v is None else v * 8 for v in rates[name]] for name in (RX, TX)}
    return (
        Line(_("in"), bits[RX], look="data-2", unit="bit/s"),
        Line(_("out"), bits[TX], look="data", unit="bit/s"),
    )


def _gauges(kind: str, entity_id: UUID, cut: BucketedRange) -> tuple[Line, ...]:
    metrics = {ANSWERS: [RTT, LOSS, CONNECT], PPPOE: [SESSIONS], LOAD: [CPU, USED, WHOLE]}[kind]
    found = {
        key.metric: rows
        for key, rows in buckets_of(metrics=metrics, entity_ids=[entity_id], time_range=cut).items()
        if not key.labels
    }
    if kind == PPPOE:
        return (gauge_line(found.get(SESSIONS, []), label=_("sessions"), look="data-2"),)
    if kind == LOAD:
        used, whole = found.get(USED, []), found.get(WHOLE, [])
        memory = [
            u.average / w.average * 100 if u.average is not None and w.average else None
            for u, w in zip(used, whole, strict=False)
        ]
        return (
            gauge_line(found.get(CPU, []), label=_("CPU"), look="data-2", unit="%"),
            Line(_("memory"), memory, unit="%"),
        )
    answer = found.get(RTT) or found.get(CONNECT, [])
    return (
        gauge_line(answer, label=_("answer"), look="data-2", unit="ms"),
        gauge_line(found.get(LOSS, []), label=_("loss"), look="critical", scale="pct", unit="%"),
    )
