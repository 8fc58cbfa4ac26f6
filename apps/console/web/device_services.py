"""Tables of a device page: services with their sessions, probes with their response times."""

from collections.abc import Sequence
from uuid import UUID

from django.utils.translation import gettext as _

from apps.console.web.device_parts import (
    CONNECT,
    LOSS,
    RTT,
    SESSIONS,
    Drawn,
    ProbeRow,
    ServiceRow,
)
from apps.console.web.latest_values import LatestValues
from apps.console.web.sparklines import Spark, spark
from apps.inventory.choices import ProbeMethod, ServiceKind
from apps.inventory.models import ProbeTarget, Service
from apps.pages.states import BLIND, DOWN, UNKNOWN, UP, WARN, State
from apps.telemetry.store import SeriesKey

ALL_LOST = 100


def service_rows(
    rows: Sequence[Service], read: LatestValues, drawn: Drawn
) -> tuple[ServiceRow, ...]:
    """Services in their order."""
    return tuple(_service(row, read, drawn) for row in rows)


def _service(row: Service, read: LatestValues, drawn: Drawn) -> ServiceRow:
    last, now = read.last(row.id, SESSIONS), read.number(row.id, SESSIONS)
    state = UNKNOWN
    if row.kind == ServiceKind.PPPOE and last is not None:
        state = BLIND if now is None else UP if now else DOWN
    return ServiceRow(
        name=row.name,
        kind=row.get_kind_display(),
        sessions="" if now is None else f"{now:.0f}",
        seen_ago=read.age(row.id, SESSIONS) if state is BLIND else "",
        state=state,
        line=_line(drawn, "service", row.id, SESSIONS),
    )


def probe_rows(
    rows: Sequence[ProbeTarget], read: LatestValues, drawn: Drawn
) -> tuple[ProbeRow, ...]:
    """Probes in their order."""
    return tuple(_probe(row, read, drawn) for row in rows)


def _probe(row: ProbeTarget, read: LatestValues, drawn: Drawn) -> ProbeRow:
    is_tcp = row.method == ProbeMethod.TCP
    answer = CONNECT if is_tcp else RTT
    state = read.state(row.id, "probe.tcp.up") if is_tcp else _ping_state(row.id, read)
    # A target that does not respond has no response time, however recent the last sample.
    rtt = None if state is DOWN else read.number(row.id, answer)
    loss = None if is_tcp else read.number(row.id, LOSS)
    return ProbeRow(
        name=row.name,
        method=row.get_method_display(),
        address=f"{row.address}:{row.port}",
        state=state,
        rtt="" if rtt is None else _("%(ms).1f ms") % {"ms": rtt},
        loss="" if loss is None else f"{loss:.0f} %",
        has_loss=bool(loss),
        line=_line(drawn, "probe_target", row.id, answer),
    )


def _ping_state(entity_id: UUID, read: LatestValues) -> State:
    if read.last(entity_id, LOSS) is None:
        return UNKNOWN
    loss = read.number(entity_id, LOSS)
    if loss is None:
        return BLIND
    return DOWN if loss >= ALL_LOST else WARN if loss else UP


def _line(drawn: Drawn, entity_type: str, entity_id: UUID, metric: str) -> Spark | None:
    buckets = drawn.get(SeriesKey(entity_type, entity_id, metric), ())
    return spark([bucket.average for bucket in buckets])
