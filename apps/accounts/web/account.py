"""The account page: sign-in methods, sessions and API tokens of the signed-in user."""

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
from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import CodeRefused, FactorNeeded, PasskeyRefused, TooManyAttempts
from apps.accounts.factor_policy import require_own_factor, store_own_factor
from apps.accounts.models import ApiToken, OpenSession, User
from apps.accounts.oidc import identities as provider_identities
from apps.accounts.oidc.provider_sessions import require_own_session
from apps.accounts.session_store import row_key
from apps.accounts.tokens import issue_token_as
from apps.accounts.web.responses import error_text
from apps.authorization.actors import Actor
from apps.authorization.freshness import is_fresh
from apps.authorization.permissions import Permission
from apps.authorization.requests import TenantHttpRequest
from apps.core import clock
from apps.pages.decorators import enter, fresh_sign_in

PAGE = "accounts/account.html"
AUTHENTICATOR_PAGE = "accounts/authenticator.html"
MAX_NAME_LENGTH = 60
TOKEN_DAYS = (30, 90, 365, 730)


@never_cache
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """The account page."""
    return render_account(request)


@never_cache
@require_POST
@sensitive_post_parameters("current", "password", "password_confirm")
def change_password(request: HttpRequest) -> HttpResponse:
    """Change the password and end all other sessions. A user without a password needs a recent sign-in instead."""
    user, now = _user(request), clock.now()
    password = request.POST.get("password", "")
    try:
        attempt = require_attempt(request, AttemptKind.CONFIRM, email=user.email, at=now)
    except TooManyAttempts as error:
        return render_account(request, status=error.status, password_error=error_text(error))
    if user.has_usable_password():
        is_proven = user.check_password(request.POST.get("current", ""))
    else:
        require_own_session(request.session)
        is_proven = is_fresh(request.session, now)
    problem = "" if is_proven else _("The current password is wrong.")
    if is_proven:
        attempt.succeed()
    if not problem and password != request.POST.get("password_confirm", ""):
        problem = _("The two new passwords differ.")
    if not problem:
        try:
            validate_password(password, user)
        except ValidationError as error:
            problem = " ".join(error.messages)
    if problem:
        return render_account(request, status=422, password_error=problem)
    sessions.change_password(request, user, password, at=now)
    return render_account(
        request, notice=_("Password changed. All other sessions have been ended.")
    )


@never_cache
@fresh_sign_in
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def authenticator(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator app: scan the QR code, confirm with a code."""
    user, now = _user(request), clock.now()
    _require_own_factor(request, user)
    problem, status = "", 200
    if request.method == "POST":
        require_own_session(request.session)
        try:
            attempt = require_attempt(request, AttemptKind.CODE, email=user.email, at=now)
            second_factor.add_app(request, user, request.POST.get("code", "")[:40], at=now)
            attempt.succeed()
        except (CodeRefused, TooManyAttempts) as error:
            problem, status = error_text(error), error.status
        else:
            store_own_factor(request.session)
            return _render_new_codes(request, user)
    context = {"app": second_factor.begin_app_setup(request, user), "error": problem}
    return render(request, AUTHENTICATOR_PAGE, context, status=status)


@fresh_sign_in
@require_POST
def remove_authenticator(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    row = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    return _remove_factor(request, user, row)


@never_cache
@fresh_sign_in
@require_POST
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Replace the recovery codes. The new ones are shown once."""
    require_own_session(request.session)
    user = _user(request)
    if not second_factor.is_required(user):
        return redirect("accounts:account")
    _require_own_factor(request, user)
    codes = second_factor.create_recovery_codes(user, at=clock.now())
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


@never_cache
@fresh_sign_in
@require_POST
def passkey_registration_options(request: HttpRequest) -> HttpResponse:
    """Options for the browser to create a passkey."""
    require_own_session(request.session)
    _require_own_factor(request, _user(request))
    return JsonResponse(passkeys.begin_registration(request, _user(request)))


@never_cache
@fresh_sign_in
@require_POST
def add_passkey(request: HttpRequest) -> HttpResponse:
    require_own_session(request.session)
    user, now = _user(request), clock.now()
    name = _name(request) or sessions.device_of(request.headers.get("User-Agent", ""))
    try:
        passkeys.complete_registration(
            request, user, name=name, response=request.POST.get("answer", ""), at=now
        )
    except PasskeyRefused as error:
        return render_account(request, status=error.status, passkey_error=error_text(error))
    store_own_factor(request.session)
    return _render_new_codes(request, user)


@fresh_sign_in
@require_POST
def remove_passkey(request: HttpRequest, pk: int) -> HttpResponse:
    user = _user(request)
    kind = Authenticator.Type.WEBAUTHN
    row = get_object_or_404(Authenticator, user=user, type=kind, pk=pk)
    return _remove_factor(request, user, row)


@require_POST
def end_session(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = _user(request)
    session = get_object_or_404(OpenSession, user=user, pk=pk)
    sessions.end_session(session=session, actor=_actor(user), at=clock.now())
    return redirect("accounts:account")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    sessions.end_other_sessions(
        user=user, keep=row_key(request.session), actor=_actor(user), at=clock.now()
    )
    return redirect("accounts:account")


@never_cache
@fresh_sign_in
@require_POST
def create_token(request: HttpRequest) -> HttpResponse:
    """Create an API token with all of the user's permissions or the selected scopes. Its text is shown once."""
    access = enter(request, Permission.TOKENS_MANAGE)
    name, days = _name(request), request.POST.get("days", "")
    allowed = [str(n) for n in TOKEN_DAYS]
    scopes = request.POST.getlist("scopes")
    if not name or days not in allowed:
        return render_account(request, status=422, token_error=_("A token needs a name."))
    # An unknown scope is refused, not dropped: a token without scopes has all permissions of its creator.
    known = {p.value for p in Permission}
    if not all(scope in known and access.may(Permission(scope)) for scope in scopes):
        problem = _("No token was created: a scope is unknown, or you do not have it yourself.")
        return render_account(request, status=422, token_error=problem)
    _token, text = issue_token_as(
        access=member_access(access),
        name=name,
        days=int(days),
        scopes=scopes or None,
        ends_with_password="ends_with_password" in request.POST,
        at=clock.now(),
    )
    return render_account(request, new_token=text)


@require_POST
def revoke_token(request: HttpRequest, pk: UUID) -> HttpResponse:
    access = enter(request, Permission.TOKENS_MANAGE)
    token = get_object_or_404(ApiToken, tenant=access.tenant, user=access.user, pk=pk)
    services.revoke_token(token=token, actor=access.actor, at=clock.now())
    return redirect("accounts:account")


def render_account(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    user, now = _user(request), clock.now()
    access = cast(TenantHttpRequest, request).access
    may_create_tokens = access is not None and access.may(Permission.TOKENS_MANAGE)
    tokens = (
        ApiToken.objects.filter(
            tenant=access.tenant, user=user, revoked_at=None, expires_at__gt=now
        ).order_by("-created_at")
        if access and may_create_tokens
        else []
    )
    context = {
        "factors": second_factor.factors_of(user),
        **identity_context(user),
        "sessions": sessions.sessions_of(user, now)[:100],
        "this_session": row_key(request.session),
        "active_since": now - timedelta(minutes=2),
        "may_create_tokens": may_create_tokens,
        "tokens": tokens,
        "token_days": TOKEN_DAYS,
        "scopes": [p.value for p in Permission if access and access.may(p)],
        **more,
    }
    return render(request, PAGE, context, status=status)


def identity_context(user: User) -> dict[str, Any]:
    """The identities that a user has linked, and the providers that they can still link."""
    by_issuer = {provider.issuer: provider for provider in settings.ISPVM_OIDC_PROVIDERS}
    linked = provider_identities.identities_of(user)
    identities = [
        {
            "pk": row.pk,
            "name": by_issuer[row.provider].name if row.provider in by_issuer else row.provider,
            "slug": by_issuer[row.provider].slug if row.provider in by_issuer else "",
            "label": row.extra_data.get("label", ""),
        }
        for row in linked
    ]
    used = {row.provider for row in linked}
    available = [p for p in settings.ISPVM_OIDC_PROVIDERS if p.issuer not in used]
    return {"identities": identities, "providers": available}


def _render_new_codes(request: HttpRequest, user: User) -> HttpResponse:
    """After the first factor was added: create recovery codes and show them once."""
    if second_factor.factors_of(user).recovery_left:
        return redirect("accounts:account")
    codes = second_factor.create_recovery_codes(user, at=clock.now())
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


def _require_own_factor(request: HttpRequest, user: User) -> None:
    """A user who has a second factor must have shown it in this session before factors are changed."""
    if second_factor.is_required(user):
        require_own_factor(request.session)


def _remove_factor(request: HttpRequest, user: User, factor: Authenticator | None) -> HttpResponse:
    require_own_session(request.session)
    _require_own_factor(request, user)
    if factor is not None:
        try:
            second_factor.remove(user, factor, at=clock.now())
        except FactorNeeded as error:
            return render_account(request, status=error.status, factor_error=error.message)
    return redirect("accounts:account")


def _name(request: HttpRequest) -> str:
    return request.POST.get("name", "").replace("\x00", "").strip()[:MAX_NAME_LENGTH]


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _actor(user: User) -> Actor:
    return Actor("user", str(user.id), user.label)
