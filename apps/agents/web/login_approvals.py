"""Approving where router credentials are sent: a section of the device page, and the list of held logins."""

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
    devices_awaiting_approval,
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
#: A selected row: device id and the digest of the shown destination.
SELECTION = re.compile(r"\A([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9a-f]{64})\Z")


@dataclass(frozen=True)
class DestinationField:
    """One field of a destination: present and approved value."""

    label: str
    now: str
    approved: str
    differs: bool


@dataclass(frozen=True)
class LoginRow:
    """A device's login status for display."""

    device: Device
    state: State
    status: LoginStatus
    fields: tuple[DestinationField, ...]
    reasons: str
    #: Agents on an unapproved host: id and name.
    unapproved_hosts: tuple[tuple[UUID, str], ...]
    #: Names of agents that do not have the device's collector.
    agents_without_collector: tuple[str, ...]
    is_held: bool
    is_certificate_changed: bool
    is_clear_text: bool


def login_rows(devices: Iterable[Device]) -> list[LoginRow]:
    """Login status of devices, with names for ids. Six queries, whatever their number."""
    devices = list(devices)
    statuses = login_statuses(devices)
    names = {str(pk): name for pk, name in CredentialSet.objects.values_list("pk", "name")}
    for status in statuses.values():
        names.update({str(agent.agent_id): agent.name for agent in status.polling_agents})
    return [_row(device, statuses[device.pk], names) for device in devices]


def _row(device: Device, status: LoginStatus, names: dict[str, str]) -> LoginRow:
    now, row = status.destination, status.approval
    unapproved_hosts = [
        (agent.agent_id, agent.name)
        for agent in status.polling_agents
        if not agent.is_host_approved
    ]
    return LoginRow(
        device=device,
        state=STATES.get(status.state, UNKNOWN),
        status=status,
        fields=_fields(now, row, names),
        reasons=", ".join(str(reason.label) for reason in status.reasons),
        unapproved_hosts=tuple(unapproved_hosts),
        agents_without_collector=tuple(
            agent.name
            for agent in status.polling_agents
            if not agent.has_collector(device.collector)
        ),
        is_held=bool(set(status.reasons) - {HoldReason.AGENT_HOST}),
        is_certificate_changed=bool(row and row.presented_certificate),
        is_clear_text=not now.tls and bool(now.credential_sets),
    )


def _fields(
    now: Destination, row: LoginApproval | None, names: dict[str, str]
) -> tuple[DestinationField, ...]:
    """Present and approved values; without an approval all approved values are empty."""
    approved = ("", "", "", "", "")
    if row is not None:
        approved = (
            str(row.address),
            str(row.port),
            _yes_or_no(is_on=row.tls),
            _join_names(row.credential_sets, names),
            _join_names(row.agents, names),
        )
    return (
        _field(_lazy("Address"), now.address, approved[0]),
        _field(_lazy("Port"), str(now.port), approved[1]),
        _field(_lazy("TLS"), _yes_or_no(is_on=now.tls), approved[2]),
        _field(_lazy("Credential sets"), _join_names(now.credential_sets, names), approved[3]),
        _field(_lazy("Agents"), _join_names(now.agents, names), approved[4]),
    )


def _field(label: object, now: str, approved: str) -> DestinationField:
    return DestinationField(str(label), now, approved, now != approved)


def _yes_or_no(*, is_on: bool) -> str:
    return str(_lazy("yes") if is_on else _lazy("no"))


def _join_names(ids: Iterable[str], names: dict[str, str]) -> str:
    return ", ".join(sorted(names.get(pk, pk) for pk in ids))


@require_GET
@requires(Permission.DIAGNOSTICS_RUN)
def device_login(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """The login section of a device page."""
    access = access_of(request)
    return _section(request, access, get_visible_device(access, device_id))


@never_cache
@require_POST
@requires(Permission.LOGINS_APPROVE)
@fresh_sign_in
def decide_login(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Approve the shown destination, or accept the shown certificate."""
    access, at = access_of(request), clock.now()
    device = get_visible_device(access, device_id)
    certificate = request.POST.get("certificate", "")
    error_message = ""
    try:
        if certificate:
            accept_certificate(device=device, certificate=certificate, actor=access.actor, at=at)
        else:
            shown = {device.pk: request.POST.get("destination", "")}
            approve_logins(destinations=shown, actor=access.actor, at=at)
    except DomainError as error:
        error_message = error.message
    if not is_partial_request(request):
        return redirect("console:device", device_id)
    return _section(request, access, device, error_message)


@never_cache
@require_POST
@requires(Permission.LOGINS_APPROVE)
@fresh_sign_in
def approve_host(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Approve the shown host of an agent."""
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
def login_approvals(request: HttpRequest) -> HttpResponse:
    """All devices whose login awaits approval."""
    return _list(request, access_of(request))


@never_cache
@require_POST
@requires(Permission.LOGINS_APPROVE)
@fresh_sign_in
def approve_selected(request: HttpRequest) -> HttpResponse:
    """Approve the selected destinations as shown; all or none."""
    access = access_of(request)
    matches = [SELECTION.match(text) for text in request.POST.getlist("selected")]
    shown = {UUID(match[1]): match[2] for match in matches if match is not None}
    try:
        approve_logins(destinations=shown, actor=access.actor, at=clock.now())
    except DomainError as error:
        return _list(request, access, error.message)
    return redirect("agents:logins")


def _list(request: HttpRequest, access: Access, error_message: str = "") -> HttpResponse:
    rows = devices_awaiting_approval(access).order_by("name")
    devices, pager = paginate(rows, number=page_number(request), params={})
    context = {
        "rows": login_rows(devices),
        "pager": pager,
        "error_message": error_message,
        # Nothing is preselected, so that rows are read before they are approved.
        "is_all_selected": request.GET.get("all") == "1",
        "section": "devices",
    }
    return render(
        request, "agents/login_approvals.html", context, status=409 if error_message else 200
    )


def _section(
    request: HttpRequest, access: Access, device: Device, error_message: str = ""
) -> HttpResponse:
    (row,) = login_rows([Device.objects.get(pk=device.pk)])
    context = {
        "row": row,
        "error_message": error_message,
        "may_approve": access.may(Permission.LOGINS_APPROVE),
    }
    return render(request, "agents/_device_login.html", context)
