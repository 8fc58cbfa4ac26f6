"""Answering an invitation: by the page that its link opens, or among one's own invitations once signed in."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import accepting, invitations, sign_in
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import (
    AddressNotProven,
    AlreadyMember,
    InvitationUnusable,
    InvitedSomebodyElse,
    SignInFirst,
)
from apps.accounts.models import User
from apps.accounts.people import must_sign_in
from apps.accounts.session_tenant import SESSION_TENANT, session_tenant_id
from apps.accounts.web.gate import let_in
from apps.core import clock
from apps.core.errors import DomainError
from apps.tenancy.models import Tenant

SESSION_KEY = "invitation"
LONGEST = {"name": 140, "password": 200}
REFUSALS = (InvitationUnusable, InvitedSomebodyElse, SignInFirst, AddressNotProven, AlreadyMember)


@never_cache
@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """The page that a link opens. The key moves from the address into the session at once, so that it is neither seen
    over a shoulder nor kept in the browser's history as a thing that still works.

    A link that the admin handed over says nothing of the address: the admin can open it too.
    """
    require_attempt(request, Door.INVITATION, at=clock.now())
    if key := request.GET.get("key"):
        request.session[SESSION_KEY] = key[:200]
        return redirect("accounts:invitation")
    key = request.session.get(SESSION_KEY, "")
    try:
        tenant, found = invitations.find_invitation(key, clock.now())
    except InvitationUnusable as fault:
        request.session.pop(SESSION_KEY, None)
        return _show(request, {"gone": True}, fault)
    user = request.user if isinstance(request.user, User) else None
    shown = {
        "tenant": tenant,
        "invitation": found,
        "is_known": bool(found.mail_state) and must_sign_in(found.email),
        "is_theirs": user is not None and user.address.casefold() == found.email.casefold(),
    }
    if request.method == "GET":
        is_stuck = user is not None and user.email_verified_at is None
        is_stuck = is_stuck and bool(shown["is_theirs"] and shown["is_known"])
        return _show(request, shown, accepting.not_proven(found) if is_stuck else None)
    try:
        return _accept(request, key, user)
    except REFUSALS as fault:
        return _show(request, shown, fault)
    except ValidationError as fault:
        return _show(request, {**shown, "faults": fault.messages, "name": _text(request, "name")})


@require_POST
def accept(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Become a member. The session goes there only if it works nowhere yet."""
    assert isinstance(request.user, User)  # nobody passes the sign-in middleware otherwise
    tenant = accepting.accept(user=request.user, invitation_id=pk, at=clock.now())
    return _joined(request, request.user, tenant)


@require_POST
def decline(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say no."""
    assert isinstance(request.user, User)  # nobody passes the sign-in middleware otherwise
    accepting.decline(user=request.user, invitation_id=pk, at=clock.now())
    return redirect("accounts:tenants")


def _accept(request: HttpRequest, key: str, user: User | None) -> HttpResponse:
    at = clock.now()
    if user is not None:
        tenant = accepting.accept_link(key=key, user=user, at=at)
        request.session.pop(SESSION_KEY, None)
        return _joined(request, user, tenant)
    user, tenant = accepting.accept_as_new(
        key=key, name=_text(request, "name"), password=_text(request, "password"), at=at
    )
    request.session.pop(SESSION_KEY, None)
    sign_in.complete(request, user, methods=["invitation"], at=at)
    request.session[SESSION_TENANT] = str(tenant.pk)
    return let_in(request, user, "/")


def _joined(request: HttpRequest, user: User, tenant: Tenant) -> HttpResponse:
    """Where to go: into the new tenant if the session has none. One that works somewhere stays there."""
    if session_tenant_id(request.session, user) is None or request.access is None:  # type: ignore[attr-defined]
        request.session[SESSION_TENANT] = str(tenant.pk)
        return redirect("/")
    messages.success(request, _("You are a member of %(name)s now.") % {"name": tenant.name})
    return redirect("accounts:tenants")


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").replace("\x00", "")[: LONGEST[name]]


def _show(
    request: HttpRequest, shown: dict[str, object], fault: DomainError | None = None
) -> HttpResponse:
    status = fault.status if fault else 422 if shown.get("faults") else 200
    context = {**shown, "fault": fault}
    return render(request, "accounts/invitation.html", context, status=status)
