"""View models of the delivery log and of one delivery."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.delivery import selectors
from apps.delivery.channels import channel_named
from apps.delivery.choices import DeliveryState
from apps.delivery.models import Attempt, Delivery, Destination
from apps.pages.durations import format_duration
from apps.pages.paging import Pager, paginate
from apps.pages.states import State

DELIVERED = State("ok", "ok", _lazy("Delivered"), 9)
DEAD = State("critical", "critical", _lazy("Failed (dead letter)"), 0)
RETRYING = State("warn", "warn", _lazy("Retrying"), 1)
WAITING = State("info", "info", _lazy("Pending"), 5)
SENDING = State("info", "info", _lazy("Sending"), 5)

_FAILING = State("warn", "warn", _lazy("Failing"), 1)
_PAUSED = State("off", "minus", _lazy("Paused"), 2)
_ACTIVE = State("ok", "ok", _lazy("Active"), 9)
_RESENDABLE = {DeliveryState.DEAD, DeliveryState.DELIVERED}


@dataclass(frozen=True)
class DeliveryRow:
    """One row of the delivery log."""

    id: UUID
    state: State
    event: str
    endpoint: str
    endpoint_gone: bool
    incident_id: UUID | None
    sequence: int | None
    attempts: int
    reason: str
    created_at: datetime
    ago: str
    next_in: str
    can_resend: bool


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint."""

    id: UUID
    name: str
    address: str
    state: State
    reason: str
    last_success_ago: str
    query: str
    is_selected: bool


@dataclass(frozen=True)
class StateChoice:
    """One value of the filter."""

    value: str
    label: str
    query: str
    is_selected: bool


@dataclass(frozen=True)
class DeliveryLogPage:
    """Filtered deliveries, and the endpoints."""

    state: str
    states: tuple[StateChoice, ...]
    endpoints: tuple[EndpointRow, ...]
    rows: tuple[DeliveryRow, ...]
    pager: Pager
    can_manage: bool
    is_filtered: bool


@dataclass(frozen=True)
class DeliveryPage:
    """One delivery with its attempts."""

    row: DeliveryRow
    event_id: UUID
    body_sha256: str
    body: str
    attempts: tuple[Attempt, ...]


MAX_BODY_CHARACTERS = 20_000


def delivery_log_page(
    access: Access, *, state: str, endpoint: str, number: int, at: datetime
) -> DeliveryLogPage:
    """Two queries, and one per channel."""
    endpoints = list(selectors.visible_destinations(access).order_by("name"))
    addresses = _addresses(endpoints)
    selected_endpoint = next((row for row in endpoints if str(row.id) == endpoint), None)
    params = {"state": state, "endpoint": str(selected_endpoint.id) if selected_endpoint else ""}
    rows = selectors.visible_deliveries(access).defer("body").order_by("-created_at", "-pk")
    if state:
        rows = rows.filter(state=state)
    if selected_endpoint:
        rows = rows.filter(destination=selected_endpoint)
    page_rows, pager = paginate(rows, number=number, params=params)
    can_manage = access.may(Permission.WEBHOOKS_MANAGE)
    choices = (("", _("All")), *((key, str(_STATES[key].word)) for key in _STATES))
    return DeliveryLogPage(
        state=state,
        states=tuple(
            StateChoice(key, label, _query({**params, "state": key}), key == state)
            for key, label in choices
        ),
        endpoints=tuple(_endpoint(row, addresses[row.id], params, at) for row in endpoints),
        rows=tuple(_row(row, can_manage=can_manage, at=at) for row in page_rows),
        pager=pager,
        can_manage=can_manage,
        is_filtered=any(params.values()),
    )


def delivery_page(access: Access, delivery: Delivery, *, at: datetime) -> DeliveryPage:
    """One query more than the row."""
    body = bytes(delivery.body)[:MAX_BODY_CHARACTERS].decode(errors="replace")
    return DeliveryPage(
        row=_row(delivery, can_manage=access.may(Permission.WEBHOOKS_MANAGE), at=at),
        event_id=delivery.event_id,
        body_sha256=delivery.body_sha256,
        body=body,
        attempts=tuple(selectors.attempts_of(delivery)),
    )


_STATES = {
    DeliveryState.PENDING: WAITING,
    DeliveryState.LEASED: SENDING,
    DeliveryState.DELIVERED: DELIVERED,
    DeliveryState.DEAD: DEAD,
}


def _addresses(destinations: Iterable[Destination]) -> dict[UUID, str]:
    """Where each destination sends to, from its channel."""
    of_channel: dict[str, list[Destination]] = {}
    for row in destinations:
        of_channel.setdefault(row.channel, []).append(row)
    return {
        id_: address
        for name, rows in of_channel.items()
        for id_, address in channel_named(name).addresses(rows).items()
    }


def _query(params: dict[str, str]) -> str:
    return urlencode({name: value for name, value in params.items() if value})


def _row(row: Delivery, *, can_manage: bool, at: datetime) -> DeliveryRow:
    state = _STATES[DeliveryState(row.state)]
    if row.state == DeliveryState.PENDING and row.failure_count:
        state = RETRYING
    is_gone = row.destination.deleted_at is not None
    is_scheduled = row.state == DeliveryState.PENDING and row.next_attempt_at is not None
    return DeliveryRow(
        id=row.id,
        state=state,
        event=row.get_event_type_display(),
        endpoint=row.destination.name,
        endpoint_gone=is_gone,
        incident_id=row.incident_id,
        sequence=row.sequence,
        attempts=row.attempt_count,
        reason=row.get_dead_reason_display() if row.dead_reason else "",
        created_at=row.created_at,
        ago=format_duration(row.created_at, at),
        next_in=format_duration(at, row.next_attempt_at)
        if is_scheduled and row.next_attempt_at
        else "",
        can_resend=can_manage
        and row.state in _RESENDABLE
        and not is_gone
        and not row.destination.is_paused,
    )


def _endpoint(row: Destination, address: str, params: dict[str, str], at: datetime) -> EndpointRow:
    state, reason = _ACTIVE, ""
    if row.is_paused:
        state, reason = _PAUSED, row.get_pause_reason_display()
    elif row.failing_since:
        state = _FAILING
        reason = _("for %(time)s") % {"time": format_duration(row.failing_since, at)}
    return EndpointRow(
        id=row.id,
        name=row.name,
        address=address,
        state=state,
        reason=str(reason),
        last_success_ago=format_duration(row.last_success_at, at) if row.last_success_at else "",
        query=_query({**params, "endpoint": str(row.id)}),
        is_selected=params["endpoint"] == str(row.id),
    )
