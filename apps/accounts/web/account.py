"""The account page: how one signs in, where one is signed in, one's own API tokens."""

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts import passkeys, second_factor, services, sessions
from apps.accounts.access import member_access
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import CodeRefused, FactorNeeded, PasskeyRefused, TooManyAttempts
from apps.accounts.factor_policy import note_own_factor, require_own_factor
from apps.accounts.models import ApiToken, OpenSession, User
from apps.accounts.oidc import people
from apps.accounts.oidc.provider_sessions import require_own_session
from apps.accounts.session_store import row_key
from apps.accounts.tokens import issue_token_as
from apps.accounts.web.gate import fault_of
from apps.authorization.actors import Actor
from apps.authorization.freshness import is_fresh
from apps.authorization.permissions import Permission
from apps.authorization.requests import TenantHttpRequest
from apps.core import clock
from apps.pages.decorators import enter, fresh_sign_in

PAGE = "accounts/account.html"
SET_UP = "accounts/authenticator.html"
LONGEST_NAME = 60
TOKEN_DAYS = (30, 90, 365, 730)


@never_cache
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Everything about one's own sign-in, on one page."""
    return page_of(request)


@never_cache
@require_POST
@sensitive_post_parameters("current", "password", "again")
def change_password(request: HttpRequest) -> HttpResponse:
    """A new password; the sessions elsewhere end. Who has none yet needs a fresh sign-in instead of the old one."""
    user, now = _person(request), clock.now()
    password = request.POST.get("password", "")
    try:
        attempt = require_attempt(request, Door.CONFIRM, email=user.email, at=now)
    except TooManyAttempts as error:
        return page_of(request, status=error.status, password_fault=fault_of(error))
    if user.has_usable_password():
        is_proven = user.check_password(request.POST.get("current", ""))
    else:
        require_own_session(request.session)
        is_proven = is_fresh(request.session, now)
    fault = "" if is_proven else _("The current password is wrong.")
    if is_proven:
        attempt.succeed()
    if not fault and password != request.POST.get("again", ""):
        fault = _("The two new passwords differ.")
    if not fault:
        try:
            validate_password(password, user)
        except ValidationError as error:
            fault = " ".join(error.messages)
    if fault:
        return page_of(request, status=422, password_fault=fault)
    sessions.change_password(request, user, password, at=now)
    return page_of(request, said=_("The password is changed. Every other session has ended."))


@never_cache
@fresh_sign_in
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def authenticator(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator app: scan, and prove it by a code."""
    user, now = _person(request), clock.now()
    _require_shown(request, user)
    fault, status = "", 200
    if request.method == "POST":
        require_own_session(request.session)
        try:
            attempt = require_attempt(request, Door.CODE, email=user.email, at=now)
            second_factor.add_app(request, user, request.POST.get("code", "")[:40], at=now)
            attempt.succeed()
        except (CodeRefused, TooManyAttempts) as error:
            fault, status = fault_of(error), error.status
        else:
            note_own_factor(request.session)
            return _with_codes(request, user)
    seen = {"offer": second_factor.offer_app(request, user), "fault": fault}
    return render(request, SET_UP, seen, status=status)


@fresh_sign_in
@require_POST
def remove_authenticator(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    row = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    return _without(request, user, row)


@never_cache
@fresh_sign_in
@require_POST
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """New recovery codes, shown this once; the old ones end."""
    require_own_session(request.session)
    user = _person(request)
    if not second_factor.is_owed(user):
        return redirect("accounts:account")
    _require_shown(request, user)
    codes = second_factor.make_recovery_codes(user, at=clock.now())
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


@never_cache
@fresh_sign_in
@require_POST
def passkey_offer(request: HttpRequest) -> HttpResponse:
    """What the browser needs to make a passkey."""
    require_own_session(request.session)
    _require_shown(request, _person(request))
    return JsonResponse(passkeys.offer(request, _person(request)))


@never_cache
@fresh_sign_in
@require_POST
def add_passkey(request: HttpRequest) -> HttpResponse:
    require_own_session(request.session)
    user, now = _person(request), clock.now()
    name = _name(request) or sessions.device_of(request.headers.get("User-Agent", ""))
    try:
        passkeys.add(request, user, name=name, answer=request.POST.get("answer", ""), at=now)
    except PasskeyRefused as error:
        return page_of(request, status=error.status, passkey_fault=fault_of(error))
    note_own_factor(request.session)
    return _with_codes(request, user)


@fresh_sign_in
@require_POST
def remove_passkey(request: HttpRequest, pk: int) -> HttpResponse:
    user = _person(request)
    kind = Authenticator.Type.WEBAUTHN
    row = get_object_or_404(Authenticator, user=user, type=kind, pk=pk)
    return _without(request, user, row)


@require_POST
def end_session(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = _person(request)
    opened = get_object_or_404(OpenSession, user=user, pk=pk)
    sessions.end_session(opened=opened, actor=_actor(user), at=clock.now())
    return redirect("accounts:account")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    sessions.end_other_sessions(
        user=user, keep=row_key(request.session), actor=_actor(user), at=clock.now()
    )
    return redirect("accounts:account")


@never_cache
@fresh_sign_in
@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """An API token with one's own rights, or the ticked ones; its text is on the page that answers, and never again."""
    access = enter(request, Permission.TOKENS_MANAGE)
    name, days = _name(request), request.POST.get("days", "")
    allowed = [str(n) for n in TOKEN_DAYS]
    scopes = request.POST.getlist("scopes")
    if not name or days not in allowed:
        return page_of(request, status=422, token_fault=_("A token needs a name."))
    # An unknown name is refused, not dropped: without any scope the token would have all rights of its maker.
    known = {p.value for p in Permission}
    if not all(scope in known and access.may(Permission(scope)) for scope in scopes):
        fault = _(
            "No token was created: a permission is unknown, or more than you may do yourself."
        )
        return page_of(request, status=422, token_fault=fault)
    _token, text = issue_token_as(
        access=member_access(access),
        name=name,
        days=int(days),
        scopes=scopes or None,
        ends_with_password="ends_with_password" in request.POST,
        at=clock.now(),
    )
    return page_of(request, made_token=text)


@require_POST
def revoke_token(request: HttpRequest, pk: UUID) -> HttpResponse:
    access = enter(request, Permission.TOKENS_MANAGE)
    token = get_object_or_404(ApiToken, tenant=access.tenant, user=access.user, pk=pk)
    services.revoke_token(token=token, actor=access.actor, at=clock.now())
    return redirect("accounts:account")


def page_of(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    user, now = _person(request), clock.now()
    access = cast(TenantHttpRequest, request).access
    may_make_tokens = access is not None and access.may(Permission.TOKENS_MANAGE)
    tokens = (
        ApiToken.objects.filter(
            tenant=access.tenant, user=user, revoked_at=None, expires_at__gt=now
        ).order_by("-created_at")
        if access and may_make_tokens
        else []
    )
    seen = {
        "factors": second_factor.factors_of(user),
        **identities_seen(user),
        "sessions": sessions.sessions_of(user, now)[:100],
        "this_session": row_key(request.session),
        "is_seen_lately": now - timedelta(minutes=2),
        "may_make_tokens": may_make_tokens,
        "tokens": tokens,
        "token_days": TOKEN_DAYS,
        "scopes": [p.value for p in Permission if access and access.may(p)],
        **more,
    }
    return render(request, PAGE, seen, status=status)


def identities_seen(user: User) -> dict[str, Any]:
    """The identities that a person has linked, and the providers that they could."""
    by_issuer = {provider.issuer: provider for provider in settings.ISPVM_OIDC_PROVIDERS}
    linked = people.identities_of(user)
    identities = [
        {
            "pk": row.pk,
            "name": by_issuer[row.provider].name if row.provider in by_issuer else row.provider,
            "slug": by_issuer[row.provider].slug if row.provider in by_issuer else "",
            "label": row.extra_data.get("label", ""),
        }
        for row in linked
    ]
    taken = {row.provider for row in linked}
    free = [provider for provider in settings.ISPVM_OIDC_PROVIDERS if provider.issuer not in taken]
    return {"identities": identities, "providers": free}


def _with_codes(request: HttpRequest, user: User) -> HttpResponse:
    """After the first factor: the recovery codes, once."""
    if second_factor.factors_of(user).recovery_left:
        return redirect("accounts:account")
    codes = second_factor.make_recovery_codes(user, at=clock.now())
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


def _require_shown(request: HttpRequest, user: User) -> None:
    """Whoever has a second factor shows it before factors are changed: a password alone adds and removes none."""
    if second_factor.is_owed(user):
        require_own_factor(request.session)


def _without(request: HttpRequest, user: User, factor: Authenticator | None) -> HttpResponse:
    require_own_session(request.session)
    _require_shown(request, user)
    if factor is not None:
        try:
            second_factor.remove(user, factor, at=clock.now())
        except FactorNeeded as error:
            return page_of(request, status=error.status, factor_fault=error.message)
    return redirect("accounts:account")


def _name(request: HttpRequest) -> str:
    return request.POST.get("name", "").replace("\x00", "").strip()[:LONGEST_NAME]


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _actor(user: User) -> Actor:
    return Actor("user", str(user.id), user.label)
