"""Confirming who one is, before secrets, keys and roles: by password, code or passkey."""

from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import passkeys, second_factor, sign_in
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import CodeRefused, PasskeyRefused, SignInRefused, TooManyAttempts
from apps.accounts.factor_policy import note_own_factor
from apps.accounts.models import User
from apps.accounts.web.account import identities_seen
from apps.accounts.web.gate import refuse, safe_next
from apps.authorization.freshness import note_proof
from apps.core import clock

PAGE = "accounts/confirm.html"


@never_cache
@sensitive_post_parameters("password", "code")
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """One proof of those that the person has."""
    user, now = cast(User, request.user), clock.now()
    if request.method == "GET":
        return render(request, PAGE, _seen(request, user))
    code = request.POST.get("code", "")[:40]
    try:
        if code:
            attempt = require_attempt(request, Door.CODE, email=user.email, at=now)
            second_factor.spend_code(user, code, at=now)
            note_own_factor(request.session)
        else:
            attempt = require_attempt(request, Door.CONFIRM, email=user.email, at=now)
            _require_password(request, user)
        attempt.succeed()
    except TooManyAttempts as error:
        return refuse(request, PAGE, error, _seen(request, user))
    except (CodeRefused, SignInRefused) as error:
        sign_in.note_failure(request, email=user.email, method="confirm", at=now)
        return refuse(request, PAGE, error, _seen(request, user))
    return _back(request)


@never_cache
@require_POST
def passkey_challenge(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    try:
        require_attempt(request, Door.PASSKEY, email=user.email, at=clock.now())
    except TooManyAttempts as error:
        return JsonResponse({"code": error.code}, status=error.status)
    return JsonResponse(passkeys.challenge(request, user))


@never_cache
@require_POST
def passkey(request: HttpRequest) -> HttpResponse:
    user, now = cast(User, request.user), clock.now()
    try:
        require_attempt(request, Door.PASSKEY, email=user.email, at=now)
        passkeys.prove(request, user, answer=request.POST.get("answer", ""), at=now)
        note_own_factor(request.session)
    except (PasskeyRefused, TooManyAttempts) as error:
        return refuse(request, PAGE, error, _seen(request, user))
    return _back(request)


def _require_password(request: HttpRequest, user: User) -> None:
    if not user.check_password(request.POST.get("password", "")):
        raise SignInRefused(code="password_refused", message=_("The password is wrong."))


def _back(request: HttpRequest) -> HttpResponse:
    note_proof(request.session, clock.now())
    return HttpResponseRedirect(_next(request))


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next", "")
    return safe_next(request, wanted, otherwise="/account/")


def _seen(request: HttpRequest, user: User) -> dict[str, Any]:
    return {
        "factors": second_factor.factors_of(user),
        "has_password": user.has_usable_password(),
        "identities": [one for one in identities_seen(user)["identities"] if one["slug"]],
        "next": _next(request),
    }
