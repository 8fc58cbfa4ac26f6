"""Signing in and out: password, second factor, passkey."""

from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import passkeys, second_factor, setup
from apps.accounts import sign_in as sign_in_service
from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import (
    CodeRefused,
    PasskeyRefused,
    SignInRefused,
    TooManyAttempts,
)
from apps.accounts.models import User
from apps.accounts.web.responses import redirect_signed_in, render_error, safe_next
from apps.core import clock
from apps.core.errors import DomainError

SIGN_IN_PAGE = "accounts/sign_in.html"
CODE_PAGE = "accounts/code.html"


@never_cache
@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page. A wrong name and a wrong password get the same answer."""
    next_url = safe_next(request, request.GET.get("next", "/"))
    if request.method == "GET":
        if request.user.is_authenticated:
            return redirect("/")
        if setup.is_open():
            return redirect("accounts:setup")
        return render(request, SIGN_IN_PAGE, sign_in_context(next_url))
    email = request.POST.get("email", "").strip().replace("\x00", "")
    password = request.POST.get("password", "")
    now = clock.now()
    try:
        user = sign_in_service.authenticate(request, email=email, password=password, at=now)
    except (TooManyAttempts, SignInRefused) as error:
        return render_error(
            request, SIGN_IN_PAGE, error, {"email": email, **sign_in_context(next_url)}
        )
    return continue_sign_in(request, user, method="password", next_url=next_url)


@never_cache
@login_not_required
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """The second factor: a code of the app or a recovery code. Passkeys: see ``passkey``."""
    now = clock.now()
    try:
        user, state = sign_in_service.pending(request, at=now)
    except SignInRefused:
        return redirect("accounts:sign-in")
    context = {"factors": second_factor.factors_of(user)}
    if request.method == "GET":
        return render(request, CODE_PAGE, context)
    try:
        attempt = require_attempt(request, AttemptKind.CODE, email=user.email, at=now)
        method = second_factor.verify_code(user, request.POST.get("code", "")[:40], at=now)
        attempt.succeed()
    except TooManyAttempts as error:
        return render_error(request, CODE_PAGE, error, context)
    except CodeRefused as error:
        sign_in_service.record_failure(request, email=user.email, method="code", at=now)
        return render_error(request, CODE_PAGE, error, context)
    sign_in_service.complete(request, user, methods=[state["method"], method], at=now)
    return redirect_signed_in(request, user, state["next"])


@never_cache
@login_not_required
@require_POST
def passkey_challenge(request: HttpRequest) -> HttpResponse:
    """A challenge for the browser: for the user whose second factor is required, else for any user."""
    try:
        require_attempt(request, AttemptKind.PASSKEY, at=clock.now())
    except TooManyAttempts as error:
        return JsonResponse({"code": error.code}, status=error.status)
    return JsonResponse(passkeys.begin_authentication(request, _pending_user(request)))


@never_cache
@login_not_required
@require_POST
def passkey(request: HttpRequest) -> HttpResponse:
    """Sign in by a passkey: alone, or as the second factor."""
    now = clock.now()
    pending_user = _pending_user(request)
    try:
        require_attempt(request, AttemptKind.PASSKEY, at=now)
        response = request.POST.get("answer", "")
        user = passkeys.complete_authentication(request, pending_user, response=response, at=now)
    except (TooManyAttempts, PasskeyRefused) as error:
        if isinstance(error, PasskeyRefused):
            email = pending_user.email if pending_user else ""
            sign_in_service.record_failure(request, email=email, method="passkey", at=now)
        return _passkey_error(request, pending_user, error)
    next_url = safe_next(request, request.POST.get("next", "/"))
    methods = ["passkey"]
    if pending_user is not None:
        state = sign_in_service.pending(request, at=now)[1]
        methods, next_url = [state["method"], "passkey"], state["next"]
    sign_in_service.complete(request, user, methods=methods, at=now)
    return redirect_signed_in(request, user, next_url)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return redirect("accounts:sign-in")


def sign_in_context(next_url: str) -> dict[str, Any]:
    """Template context of the sign-in page."""
    return {"next": next_url, "providers": settings.ISPVM_OIDC_PROVIDERS}


def continue_sign_in(
    request: HttpRequest, user: User, *, method: str, next_url: str
) -> HttpResponse:
    """After the first factor: redirect into the application, or to the second factor."""
    if sign_in_service.begin(request, user, method=method, next_url=next_url, at=clock.now()):
        return redirect_signed_in(request, user, next_url)
    return redirect("accounts:code")


def _pending_user(request: HttpRequest) -> User | None:
    try:
        return sign_in_service.pending(request, at=clock.now())[0]
    except SignInRefused:
        return None


def _passkey_error(
    request: HttpRequest, pending_user: User | None, error: DomainError
) -> HttpResponse:
    if pending_user is None:
        next_url = safe_next(request, request.POST.get("next", "/"))
        return render_error(request, SIGN_IN_PAGE, error, sign_in_context(next_url))
    return render_error(
        request, CODE_PAGE, error, {"factors": second_factor.factors_of(pending_user)}
    )
