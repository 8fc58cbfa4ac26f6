"""Where logins go: the part of a device page, and the list of those that somebody has to decide on."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.agents import services
from apps.agents.selectors import get_visible_agent
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.errors import DomainError
from apps.inventory.choices import HoldReason, LoginState
from apps.inventory.destinations import (
    Destination,
    LoginStatus,
    devices_that_need_a_decision,
    login_statuses,
)
from apps.inventory.models import Device, LoginApproval
from apps.inventory.selectors import get_visible_device
from apps.inventory.services import accept_certificate, approve_logins
from apps.pages.decorators import access_of, fresh_sign_in, requires
from apps.pages.paging import paginate
from apps.pages.params import is_partial_request, page_number
from apps.pages.states import OK, UNKNOWN, State
from apps.vault.models import CredentialSet

HELD = State("warn", "warn", _lazy("Login held"), 1)
CHANGED = State("critical", "critical", _lazy("Certificate changed"), 0)
NO_LOGIN = State("off", "minus", _lazy("No login"), 7)
STATES = {
    LoginState.APPROVED: OK,
    LoginState.HELD: HELD,
    LoginState.CERTIFICATE_CHANGED: CHANGED,
    LoginState.NONE: NO_LOGIN,
}
#: One box of the list: a device and the destination that its row shows.
CHOSEN = re.compile(r"\A([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9a-f]{64})\Z")


@dataclass(frozen=True)
class Line:
    """One part of a destination: as it is, and as it was approved."""

    label: str
    now: str
    approved: str
    differs: bool


@dataclass(frozen=True)
class LoginRow:
    """A device's login as people read it before they decide."""

    device: Device
    state: State
    status: LoginStatus
    lines: tuple[Line, ...]
    reasons: str
    #: Agents on a host that nobody approved: id and name.
    hosts: tuple[tuple[UUID, str], ...]
    is_held: bool
    is_certificate_changed: bool
    is_clear_text: bool


def login_rows(devices: Iterable[Device]) -> list[LoginRow]:
    """Their logins with names for ids. Six queries, whatever their number."""
    devices = list(devices)
    statuses = login_statuses(devices)
    names = {str(pk): name for pk, name in CredentialSet.objects.values_list("pk", "name")}
    for status in statuses.values():
        names.update({str(reader.agent_id): reader.name for reader in status.readers})
    return [_row(device, statuses[device.pk], names) for device in devices]


def _row(device: Device, status: LoginStatus, names: dict[str, str]) -> LoginRow:
    now, row = status.destination, status.approval
    hosts = [(one.agent_id, one.name) for one in status.readers if not one.is_host_approved]
    return LoginRow(
        device=device,
        state=STATES.get(status.state, UNKNOWN),
        status=status,
        lines=_lines(now, row, names),
        reasons=", ".join(str(reason.label) for reason in status.reasons),
        hosts=tuple(hosts),
        is_held=bool(set(status.reasons) - {HoldReason.AGENT_HOST}),
        is_certificate_changed=bool(row and row.presented_certificate),
        is_clear_text=not now.tls and bool(now.credential_sets),
    )


def _lines(now: Destination, row: LoginApproval | None, names: dict[str, str]) -> tuple[Line, ...]:
    """Each part as it is; an approval that is not there approves nothing."""
    before = ("", "", "", "", "")
    if row is not None:
        before = (
            str(row.address),
            str(row.port),
            _yes(is_on=row.tls),
            _named(row.credential_sets, names),
            _named(row.agents, names),
        )
    return (
        _line(_lazy("Address"), now.address, before[0]),
        _line(_lazy("Port"), str(now.port), before[1]),
        _line(_lazy("TLS"), _yes(is_on=now.tls), before[2]),
        _line(_lazy("Credential sets"), _named(now.credential_sets, names), before[3]),
        _line(_lazy("Agents"), _named(now.agents, names), before[4]),
    )


def _line(label: object, now: str, approved: str) -> Line:
    return Line(str(label), now, approved, now != approved)


def _yes(*, is_on: bool) -> str:
    return str(_lazy("yes") if is_on else _lazy("no"))


def _named(ids: Iterable[str], names: dict[str, str]) -> str:
    return ", ".join(sorted(names.get(pk, pk) for pk in ids))


@require_GET
@requires(Permission.DIAGNOSTICS_RUN)
def device_login(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """The part of a device page."""
    access = access_of(request)
    return _part(request, access, get_visible_device(access, device_id))


@never_cache
@require_POST
@requires(Permission.LOGINS_APPROVE)
@fresh_sign_in
def decide(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Approve the destination, or accept the certificate, that the page has shown."""
    access, at = access_of(request), clock.now()
    device = get_visible_device(access, device_id)
    certificate = request.POST.get("certificate", "")
    refusal = ""
    try:
        if certificate:
            accept_certificate(device=device, certificate=certificate, actor=access.actor, at=at)
        else:
            shown = {device.pk: request.POST.get("destination", "")}
            approve_logins(destinations=shown, actor=access.actor, at=at)
    except DomainError as refused:
        refusal = refused.message
    if not is_partial_request(request):
        return redirect("console:device", device_id)
    return _part(request, access, device, refusal)


@never_cache
@require_POST
@requires(Permission.LOGINS_APPROVE)
@fresh_sign_in
def approve_host(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Let logins be sealed to the host that the page has shown."""
    access = access_of(request)
    agent = get_visible_agent(access, agent_id)
    services.approve_agent_host(
        agent=agent,
        host_key=request.POST.get("host_key", ""),
        actor=access.actor,
        at=clock.now(),
    )
    return redirect("agents:enroll", agent_id)


@require_GET
@requires(Permission.LOGINS_APPROVE)
def logins(request: HttpRequest) -> HttpResponse:
    """Every login that somebody has to decide on."""
    return _list(request, access_of(request))


@never_cache
@require_POST
@requires(Permission.LOGINS_APPROVE)
@fresh_sign_in
def approve_chosen(request: HttpRequest) -> HttpResponse:
    """Approve those that were chosen in the list, as it showed them; all or none."""
    access = access_of(request)
    found = [CHOSEN.match(text) for text in request.POST.getlist("chosen")]
    shown = {UUID(one[1]): one[2] for one in found if one is not None}
    try:
        approve_logins(destinations=shown, actor=access.actor, at=clock.now())
    except DomainError as refused:
        return _list(request, access, refused.message)
    return redirect("agents:logins")


def _list(request: HttpRequest, access: Access, refusal: str = "") -> HttpResponse:
    rows = devices_that_need_a_decision(access).order_by("name")
    found, pager = paginate(rows, number=page_number(request), params={})
    context = {
        "rows": login_rows(found),
        "pager": pager,
        "refusal": refusal,
        # Nothing is chosen until somebody has read it.
        "is_all_chosen": request.GET.get("all") == "1",
        "section": "devices",
    }
    return render(request, "agents/logins.html", context, status=409 if refusal else 200)


def _part(request: HttpRequest, access: Access, device: Device, refusal: str = "") -> HttpResponse:
    (row,) = login_rows([Device.objects.get(pk=device.pk)])
    context = {
        "row": row,
        "refusal": refusal,
        "may_approve": access.may(Permission.LOGINS_APPROVE),
    }
    return render(request, "agents/_device_login.html", context)
