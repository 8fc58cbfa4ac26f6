"""Confirming the sign-in before secrets, keys and roles are changed: by password, code or passkey."""

from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import passkeys, second_factor, sign_in
from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import CodeRefused, PasskeyRefused, SignInRefused, TooManyAttempts
from apps.accounts.factor_policy import store_own_factor
from apps.accounts.models import User
from apps.accounts.web.account import identity_context
from apps.accounts.web.responses import render_error, safe_next
from apps.authorization.freshness import record_authentication
from apps.core import clock

PAGE = "accounts/confirm.html"


@never_cache
@sensitive_post_parameters("password", "code")
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Confirm by one of the methods that the user has."""
    user, now = cast(User, request.user), clock.now()
    if request.method == "GET":
        return render(request, PAGE, _context(request, user))
    code = request.POST.get("code", "")[:40]
    try:
        if code:
            attempt = require_attempt(request, AttemptKind.CODE, email=user.email, at=now)
            second_factor.verify_code(user, code, at=now)
            store_own_factor(request.session)
        else:
            attempt = require_attempt(request, AttemptKind.CONFIRM, email=user.email, at=now)
            _require_password(request, user)
        attempt.succeed()
    except TooManyAttempts as error:
        return render_error(request, PAGE, error, _context(request, user))
    except (CodeRefused, SignInRefused) as error:
        sign_in.record_failure(request, email=user.email, method="confirm", at=now)
        return render_error(request, PAGE, error, _context(request, user))
    return _redirect_back(request)


@never_cache
@require_POST
def passkey_challenge(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    try:
        require_attempt(request, AttemptKind.PASSKEY, email=user.email, at=clock.now())
    except TooManyAttempts as error:
        return JsonResponse({"code": error.code}, status=error.status)
    return JsonResponse(passkeys.begin_authentication(request, user))


@never_cache
@require_POST
def passkey(request: HttpRequest) -> HttpResponse:
    user, now = cast(User, request.user), clock.now()
    try:
        require_attempt(request, AttemptKind.PASSKEY, email=user.email, at=now)
        response = request.POST.get("answer", "")
        passkeys.complete_authentication(request, user, response=response, at=now)
        store_own_factor(request.session)
    except (PasskeyRefused, TooManyAttempts) as error:
        return render_error(request, PAGE, error, _context(request, user))
    return _redirect_back(request)


def _require_password(request: HttpRequest, user: User) -> None:
    if not user.check_password(request.POST.get("password", "")):
        raise SignInRefused(code="password_refused", message=_("The password is wrong."))


def _redirect_back(request: HttpRequest) -> HttpResponse:
    record_authentication(request.session, clock.now())
    return HttpResponseRedirect(_next(request))


def _next(request: HttpRequest) -> str:
    next_url = request.POST.get("next") or request.GET.get("next", "")
    return safe_next(request, next_url, default="/account/")


def _context(request: HttpRequest, user: User) -> dict[str, Any]:
    return {
        "factors": second_factor.factors_of(user),
        "has_password": user.has_usable_password(),
        "identities": [row for row in identity_context(user)["identities"] if row["slug"]],
        "next": _next(request),
    }
