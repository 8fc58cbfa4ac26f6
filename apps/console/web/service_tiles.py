"""The service tiles: subscriber sessions, routing, transit."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.console.web.sparklines import Spark, spark
from apps.inventory.choices import DeviceRole, ServiceKind
from apps.inventory.models import BgpPeer, OspfNeighbor, Service
from apps.pages.states import BLIND, DOWN, OK, UNKNOWN, WARN, State
from apps.telemetry.queries import LatestValue, latest
from apps.telemetry.sparklines import Sparkline, sparklines

SESSIONS, ADJACENT, ESTABLISHED = "pppoe.sessions.active", "ospf.neighbor.up", "bgp.peer.up"
DAY = timedelta(hours=24)
#: Older samples are not current.
FRESH = timedelta(minutes=3)
#: Sparklines are computed from at most this many series.
MAX_DRAWN = 400
#: A sum includes only series with samples in this share of the slots: others would add steps to it.
MIN_COVERAGE = 0.8
CORE = (DeviceRole.CORE, DeviceRole.EDGE)


@dataclass(frozen=True)
class Tile:
    """One kind of service."""

    name: str
    state: State
    value: str
    unit: str
    foot: str
    line: Spark | None
    #: The query string of the list of devices with this role.
    query: str


@dataclass(frozen=True)
class _Now:
    """How many of a kind are up, by their latest values."""

    good: int
    bad: int
    unmonitored: int

    @property
    def state(self) -> State:
        if self.bad:
            return WARN if self.good else DOWN
        if self.unmonitored:
            return BLIND if not self.good else WARN
        return OK if self.good else UNKNOWN

    @property
    def foot(self) -> str:
        """What is not up, as text."""
        parts = []
        if self.bad:
            parts.append(_("%(n)d down") % {"n": self.bad})
        if self.unmonitored:
            parts.append(_("%(n)d not monitored now") % {"n": self.unmonitored})
        return ", ".join(parts) or _("none down")


def service_tiles(access: Access, *, at: datetime) -> tuple[Tile, ...]:
    """A tile for each kind of service in the network. Nine queries at most."""
    created = (_pppoe(access, at), _routing(access, at), _transit(access, at))
    return tuple(tile for tile in created if tile is not None)


def _pppoe(access: Access, at: datetime) -> Tile | None:
    rows = Service.objects.filter(kind=ServiceKind.PPPOE)
    ids = _ids(access.visible(rows, Permission.INVENTORY_VIEW))
    if not ids:
        return None
    read = _read(SESSIONS, ids)
    now = _count(read, ids, at)
    sessions = sum(row.value or 0 for row in read.values() if at - row.ts <= FRESH)
    return Tile(
        name=_("PPPoE access"),
        state=now.state,
        value=f"{sessions:,.0f}",
        unit=_("sessions"),
        foot=_("%(n)d services, %(rest)s") % {"n": len(ids), "rest": now.foot},
        line=spark(_summed(_day(SESSIONS, ids, at)), from_zero=False),
        query="role=bng",
    )


def _routing(access: Access, at: datetime) -> Tile | None:
    rows = OspfNeighbor.objects.filter(device__role__in=CORE)
    return _of_sessions(
        access.visible(rows, Permission.INVENTORY_VIEW),
        ADJACENT,
        at,
        words=(_("Core routing"), _("adjacencies up")),
        query="role=core",
    )


def _transit(access: Access, at: datetime) -> Tile | None:
    rows = BgpPeer.objects.filter(disabled=False).exclude(local_as=F("remote_as"))
    return _of_sessions(
        access.visible(rows, Permission.INVENTORY_VIEW),
        ESTABLISHED,
        at,
        words=(_("Transit and peering"), _("sessions up")),
        query="role=edge",
    )


def _of_sessions(
    rows: QuerySet[BgpPeer] | QuerySet[OspfNeighbor],
    metric: str,
    at: datetime,
    *,
    words: tuple[str, str],
    query: str,
) -> Tile | None:
    ids = _ids(rows)
    if not ids:
        return None
    now = _count(_read(metric, ids), ids, at)
    return Tile(
        name=words[0],
        state=now.state,
        value=_("%(good)d of %(all)d") % {"good": now.good, "all": len(ids)},
        unit=words[1],
        foot=now.foot,
        line=spark(_shares(_day(metric, ids, at))),
        query=query,
    )


def _ids(rows: QuerySet[Service] | QuerySet[BgpPeer] | QuerySet[OspfNeighbor]) -> list[UUID]:
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _read(metric: str, ids: Collection[UUID]) -> Mapping[UUID, LatestValue]:
    return {key.entity_id: row for key, row in latest(metrics=[metric], entity_ids=ids).items()}


def _count(read: Mapping[UUID, LatestValue], ids: Collection[UUID], at: datetime) -> _Now:
    fresh = [read[pk] for pk in ids if pk in read and at - read[pk].ts <= FRESH]
    good = sum(1 for row in fresh if row.value)
    return _Now(good, len(fresh) - good, len(ids) - len(fresh))


def _day(metric: str, ids: Sequence[UUID], at: datetime) -> list[Sparkline]:
    found = sparklines(metrics=[metric], entity_ids=ids[:MAX_DRAWN], start=at - DAY, end=at)
    return list(found.values())


def _summed(lines: list[Sparkline]) -> Sparkline:
    complete = [
        line for line in lines if sum(v is not None for v in line) >= MIN_COVERAGE * len(line)
    ]
    return _combine(complete, lambda read: sum(read) if len(read) == len(complete) else None)


def _shares(lines: list[Sparkline]) -> Sparkline:
    return _combine(lines, lambda read: sum(map(bool, read)) / len(read))


def _combine(lines: list[Sparkline], join: Callable[[Sequence[float]], float | None]) -> Sparkline:
    return [_combine_known(column, join) for column in zip(*lines, strict=True)]


def _combine_known(
    column: Iterable[float | None], join: Callable[[Sequence[float]], float | None]
) -> float | None:
    read = [value for value in column if value is not None]
    return join(read) if read else None
