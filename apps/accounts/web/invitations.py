"""Accepting or declining an invitation: on the page that its link opens, or on the tenants page once signed in."""

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

from apps.accounts import accept_invitation, invitations, sign_in
from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import (
    AddressNotVerified,
    AlreadyMember,
    InvitationForAnotherAddress,
    InvitationUnusable,
    SignInFirst,
)
from apps.accounts.models import User
from apps.accounts.session_tenant import SESSION_TENANT, session_tenant_id
from apps.accounts.users import must_sign_in
from apps.accounts.web.responses import redirect_signed_in
from apps.core import clock
from apps.core.errors import DomainError
from apps.tenancy.models import Tenant

SESSION_KEY = "invitation"
MAX_LENGTHS = {"name": 140, "password": 200}
ERRORS = (
    InvitationUnusable,
    InvitationForAnotherAddress,
    SignInFirst,
    AddressNotVerified,
    AlreadyMember,
)


@never_cache
@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """The page that a link opens. The key moves from the URL into the session at once, so that it is not left in the
    browser's history while it is still valid.

    The page of a link handed over by an admin does not reveal whether the address has an account: the admin can open it
    too.
    """
    require_attempt(request, AttemptKind.INVITATION, at=clock.now())
    if key := request.GET.get("key"):
        request.session[SESSION_KEY] = key[:200]
        return redirect("accounts:invitation")
    key = request.session.get(SESSION_KEY, "")
    try:
        tenant, row = invitations.find_invitation(key, clock.now())
    except InvitationUnusable as error:
        request.session.pop(SESSION_KEY, None)
        return _render(request, {"is_invalid": True}, error)
    user = request.user if isinstance(request.user, User) else None
    context = {
        "tenant": tenant,
        "invitation": row,
        "has_account": bool(row.mail_state) and must_sign_in(row.email),
        "is_own": user is not None and user.address.casefold() == row.email.casefold(),
    }
    if request.method == "GET":
        is_unverified = user is not None and user.email_verified_at is None
        is_unverified = is_unverified and bool(context["is_own"] and context["has_account"])
        refusal = accept_invitation.address_not_verified(row) if is_unverified else None
        return _render(request, context, refusal)
    try:
        return _accept(request, key, user)
    except ERRORS as error:
        return _render(request, context, error)
    except ValidationError as error:
        context |= {"errors": error.messages, "name": _text(request, "name")}
        return _render(request, context)


@require_POST
def accept(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Become a member. The session switches to the tenant only if it has none yet."""
    assert isinstance(request.user, User)  # LoginRequiredMiddleware redirects all others
    tenant = accept_invitation.accept(user=request.user, invitation_id=pk, at=clock.now())
    return _redirect_member(request, request.user, tenant)


@require_POST
def decline(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Decline the invitation."""
    assert isinstance(request.user, User)  # LoginRequiredMiddleware redirects all others
    accept_invitation.decline(user=request.user, invitation_id=pk, at=clock.now())
    return redirect("accounts:tenants")


def _accept(request: HttpRequest, key: str, user: User | None) -> HttpResponse:
    at = clock.now()
    if user is not None:
        tenant = accept_invitation.accept_link(key=key, user=user, at=at)
        request.session.pop(SESSION_KEY, None)
        return _redirect_member(request, user, tenant)
    user, tenant = accept_invitation.accept_as_new(
        key=key, name=_text(request, "name"), password=_text(request, "password"), at=at
    )
    request.session.pop(SESSION_KEY, None)
    sign_in.complete(request, user, methods=["invitation"], at=at)
    request.session[SESSION_TENANT] = str(tenant.pk)
    return redirect_signed_in(request, user, "/")


def _redirect_member(request: HttpRequest, user: User, tenant: Tenant) -> HttpResponse:
    """Switch the session to the new tenant if it has none; otherwise it stays where it is."""
    if session_tenant_id(request.session, user) is None or request.access is None:  # type: ignore[attr-defined]
        request.session[SESSION_TENANT] = str(tenant.pk)
        return redirect("/")
    messages.success(request, _("You are a member of %(name)s now.") % {"name": tenant.name})
    return redirect("accounts:tenants")


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").replace("\x00", "")[: MAX_LENGTHS[name]]


def _render(
    request: HttpRequest, context: dict[str, object], error: DomainError | None = None
) -> HttpResponse:
    status = error.status if error else 422 if context.get("errors") else 200
    context = {**context, "error": error}
    return render(request, "accounts/invitation.html", context, status=status)
