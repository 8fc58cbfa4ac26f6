"""Degradations: saturated links, packet loss, slow responses, interface errors. The worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.console.web.device_parts import CONNECT, ERRORS, LOSS, RTT, bits
from apps.console.web.sparklines import Spark, spark
from apps.inventory.models import ProbeTarget
from apps.telemetry.queries import latest
from apps.telemetry.sparklines import Sparkline, current_rates, sparklines
from apps.telemetry.utilization import BUSY_PCT, FULL_PCT, MAX_RATE_AGE, link_utilization
from apps.topology.selectors import MapLink, NetworkMap, network_map

MAX_DEGRADATIONS = 8
DAY = timedelta(hours=24)
SECONDS_PER_HOUR = 3600
#: Per cent. A target that loses all packets is down, which is no degradation.
ALL_LOST, MUCH_LOST = 100, 20
#: Slow: at least this factor above the usual response time, and at least this many milliseconds above it.
SLOW_TIMES, SLOW_BY_MS = 2, 15
#: At most this many targets, the slowest, are compared with their usual response time.
MAX_COMPARED = 60
ERRORS_PER_HOUR, MANY_ERRORS = 10, 600


@dataclass(frozen=True)
class Degradation:
    """One degradation."""

    entity_label: str
    url: str
    what: str
    now: str
    usual: str
    look: str
    #: How far the value exceeds the bound of its kind.
    weight: float
    #: Entity and metric of its sparkline.
    series: tuple[UUID, str]
    line: Spark | None = None

    @property
    def rank(self) -> tuple[bool, float]:
        return (self.look != "critical", -self.weight)


@dataclass(frozen=True)
class Degradations:
    """The worst degradations, and their total number."""

    rows: tuple[Degradation, ...]
    total: int


def degradations(access: Access, *, at: datetime) -> Degradations:
    """Eight queries, whatever the size."""
    network = network_map(access)
    found = [
        *_saturated_links(network, at),
        *_interface_errors(network, at),
        *_probe_degradations(access, at),
    ]
    found.sort(key=lambda row: row.rank)
    return Degradations(_with_sparklines(found[:MAX_DEGRADATIONS], at), len(found))


def _saturated_links(network: NetworkMap, at: datetime) -> list[Degradation]:
    use = link_utilization(at, network.links)
    return [
        Degradation(
            entity_label=link.name,
            url=_device(link.a_id),
            what=_("used, of %(speed)s") % {"speed": bits(link.capacity_bps or 0)},
            now=f"{use[link.id]} %",
            usual=f"< {BUSY_PCT} %",
            look="critical" if use[link.id] >= FULL_PCT else "warn",
            weight=use[link.id] / BUSY_PCT,
            series=(link.ports[0], "interface.rx_bytes_total"),
        )
        for link in network.links
        if use.get(link.id, 0) >= BUSY_PCT
    ]


def _interface_errors(network: NetworkMap, at: datetime) -> list[Degradation]:
    link_of: Mapping[UUID, MapLink] = {port: link for link in network.links for port in link.ports}
    rates = current_rates(metrics=ERRORS, entity_ids=list(link_of), since=at - MAX_RATE_AGE)
    worst: dict[UUID, tuple[float, str]] = {}
    for (port, metric), rate in rates.items():
        worst[port] = max(worst.get(port, (0.0, metric)), (rate * SECONDS_PER_HOUR, metric))
    return [
        Degradation(
            entity_label=link_of[port].name,
            url=_device(link_of[port].a_id),
            what=_("port errors"),
            now=_("%(n)d/h") % {"n": round(hourly)},
            usual="0",
            look="critical" if hourly >= MANY_ERRORS else "warn",
            weight=hourly / MANY_ERRORS,
            series=(port, metric),
        )
        for port, (hourly, metric) in worst.items()
        if hourly >= ERRORS_PER_HOUR
    ]


def _probe_degradations(access: Access, at: datetime) -> list[Degradation]:
    targets = _targets(access)
    read = latest(metrics=[LOSS, RTT, CONNECT], entity_ids=list(targets))
    fresh = {
        (key.entity_id, key.metric): row.value
        for key, row in read.items()
        if at - row.ts <= MAX_RATE_AGE and row.value is not None
    }
    lossy = [
        _packet_loss(pk, targets[pk], loss)
        for (pk, metric), loss in fresh.items()
        if metric == LOSS and 0 < loss < ALL_LOST
    ]
    times = sorted(
        ((value, key) for key, value in fresh.items() if key[1] != LOSS and value >= SLOW_BY_MS),
        reverse=True,
    )[:MAX_COMPARED]
    return [*lossy, *_slow_responses(targets, times, at)]


def _packet_loss(pk: UUID, target: "_Target", loss: float) -> Degradation:
    return Degradation(
        entity_label=target.name,
        url=target.url,
        what=_("packets lost"),
        now=f"{loss:.0f} %",
        usual="0 %",
        look="critical" if loss >= MUCH_LOST else "warn",
        weight=loss / MUCH_LOST,
        series=(pk, LOSS),
    )


def _slow_responses(
    targets: Mapping[UUID, "_Target"],
    times: Sequence[tuple[float, tuple[UUID, str]]],
    at: datetime,
) -> list[Degradation]:
    day = _sparklines_of([key for _value, key in times], at)
    found = []
    for value, key in times:
        before = [point for point in day.get(key, ()) if point is not None]
        usual = median(before) if before else value
        if value < SLOW_TIMES * usual or value - usual < SLOW_BY_MS:
            continue
        found.append(
            Degradation(
                entity_label=targets[key[0]].name,
                url=targets[key[0]].url,
                what=_("response time"),
                now=_("%(ms).0f ms") % {"ms": value},
                usual=_("%(ms).0f ms") % {"ms": usual},
                look="warn",
                weight=value / max(usual, 1) / SLOW_TIMES,
                series=key,
            )
        )
    return found


@dataclass(frozen=True)
class _Target:
    name: str
    url: str


def _targets(access: Access) -> dict[UUID, _Target]:
    rows: QuerySet[ProbeTarget] = access.visible(
        ProbeTarget.objects.all(), Permission.INVENTORY_VIEW
    )
    return {
        pk: _Target(name, _device(device_id) if device_id else "")
        for pk, name, device_id in rows.values_list("pk", "name", "device_id")
    }


def _device(pk: UUID) -> str:
    return reverse("console:device", args=[pk])


def _sparklines_of(
    keys: Sequence[tuple[UUID, str]], at: datetime
) -> dict[tuple[UUID, str], Sparkline]:
    if not keys:
        return {}
    found = sparklines(
        metrics={metric for _pk, metric in keys},
        entity_ids={pk for pk, _metric in keys},
        start=at - DAY,
        end=at,
    )
    return {(key.entity_id, key.metric): line for key, line in found.items()}


def _with_sparklines(rows: Sequence[Degradation], at: datetime) -> tuple[Degradation, ...]:
    day = _sparklines_of([row.series for row in rows], at)
    return tuple(
        replace(row, line=spark(_sparkline_values(row, day.get(row.series, [])))) for row in rows
    )


def _sparkline_values(row: Degradation, line: Sparkline) -> Sparkline:
    """A gauge as it is; a counter as its increase per slot."""
    if not row.series[1].endswith("_total"):
        return line
    return [
        None if before is None or now is None or now < before else now - before
        for before, now in pairwise(line)
    ]
