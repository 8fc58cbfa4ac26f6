"""Accepting an invitation: as somebody new, or as the person who is signed in."""

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts import invitations, sign_in
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import InvitationUnusable, InvitedSomebodyElse, SignInFirst
from apps.accounts.models import User
from apps.accounts.session_tenant import SESSION_TENANT
from apps.core import clock
from apps.core.errors import DomainError

SESSION_KEY = "invitation"
LONGEST = {"name": 140, "password": 200}


@never_cache
@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """The page that a link opens. The key moves from the address into the session at once, so that it is neither seen
    over a shoulder nor kept in the browser's history as a thing that still works."""
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
    shown = {
        "tenant": tenant,
        "invitation": found,
        "is_known": User.objects.filter(email__iexact=found.email).exists(),
        "is_theirs": getattr(request.user, "email", "").casefold() == found.email.casefold(),
    }
    if request.method == "GET":
        return _show(request, shown)
    try:
        _accept(request, key)
    except (InvitationUnusable, InvitedSomebodyElse, SignInFirst) as fault:
        return _show(request, shown, fault)
    except ValidationError as fault:
        return _show(request, {**shown, "faults": fault.messages, "name": _text(request, "name")})
    request.session.pop(SESSION_KEY, None)
    request.session[SESSION_TENANT] = str(tenant.pk)
    return redirect("/")


def _accept(request: HttpRequest, key: str) -> None:
    at = clock.now()
    if isinstance(request.user, User):
        invitations.accept_as(key=key, user=request.user, at=at)
        return
    user, _tenant = invitations.accept_as_new(
        key=key, name=_text(request, "name"), password=_text(request, "password"), at=at
    )
    sign_in.complete(request, user, methods=["invitation"], at=at)


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").replace("\x00", "")[: LONGEST[name]]


def _show(
    request: HttpRequest, shown: dict[str, object], fault: DomainError | None = None
) -> HttpResponse:
    status = fault.status if fault else 422 if shown.get("faults") else 200
    context = {**shown, "fault": fault}
    return render(request, "accounts/invitation.html", context, status=status)
