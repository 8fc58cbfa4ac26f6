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
from apps.accounts import sign_in as signing_in
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import (
    CodeRefused,
    PasskeyRefused,
    SignInRefused,
    TooManyAttempts,
)
from apps.accounts.models import User
from apps.accounts.web.gate import let_in, refuse, safe_next
from apps.core import clock
from apps.core.errors import DomainError

GATE = "accounts/sign_in.html"
CODE = "accounts/code.html"


@never_cache
@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The gate. Wrong name and wrong password are answered alike."""
    next_url = safe_next(request, request.GET.get("next", "/"))
    if request.method == "GET":
        if request.user.is_authenticated:
            return redirect("/")
        if setup.is_open():
            return redirect("accounts:setup")
        return render(request, GATE, gate_of(next_url))
    email = request.POST.get("email", "").strip().replace("\x00", "")
    password = request.POST.get("password", "")
    now = clock.now()
    try:
        user = signing_in.authenticate(request, email=email, password=password, at=now)
    except (TooManyAttempts, SignInRefused) as error:
        return refuse(request, GATE, error, {"email": email, **gate_of(next_url)})
    return go_on(request, user, method="password", next_url=next_url)


@never_cache
@login_not_required
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """The second factor, after the first: a code of the app, a recovery code, or (by its own door) a passkey."""
    now = clock.now()
    try:
        user, begun = signing_in.pending(request, at=now)
    except SignInRefused:
        return redirect("accounts:sign-in")
    seen = {"factors": second_factor.factors_of(user)}
    if request.method == "GET":
        return render(request, CODE, seen)
    try:
        attempt = require_attempt(request, Door.CODE, email=user.email, at=now)
        spent = second_factor.spend_code(user, request.POST.get("code", "")[:40], at=now)
        attempt.succeed()
    except TooManyAttempts as error:
        return refuse(request, CODE, error, seen)
    except CodeRefused as error:
        signing_in.note_failure(request, email=user.email, method="code", at=now)
        return refuse(request, CODE, error, seen)
    signing_in.complete(request, user, methods=[begun["method"], spent], at=now)
    return let_in(request, user, begun["next"])


@never_cache
@login_not_required
@require_POST
def passkey_challenge(request: HttpRequest) -> HttpResponse:
    """What the browser's passkey is asked: of whom a second factor is owed, else of anybody."""
    try:
        require_attempt(request, Door.PASSKEY, at=clock.now())
    except TooManyAttempts as error:
        return JsonResponse({"code": error.code}, status=error.status)
    return JsonResponse(passkeys.challenge(request, _owing(request)))


@never_cache
@login_not_required
@require_POST
def passkey(request: HttpRequest) -> HttpResponse:
    """Sign in by a passkey: alone, or as the second factor."""
    now = clock.now()
    owing = _owing(request)
    try:
        require_attempt(request, Door.PASSKEY, at=now)
        answer = request.POST.get("answer", "")
        user = passkeys.prove(request, owing, answer=answer, at=now)
    except (TooManyAttempts, PasskeyRefused) as error:
        if isinstance(error, PasskeyRefused):
            signing_in.note_failure(
                request, email=owing.email if owing else "", method="passkey", at=now
            )
        return _refuse_passkey(request, owing, error)
    next_url = safe_next(request, request.POST.get("next", "/"))
    methods = ["passkey"]
    if owing is not None:
        begun = signing_in.pending(request, at=now)[1]
        methods, next_url = [begun["method"], "passkey"], begun["next"]
    signing_in.complete(request, user, methods=methods, at=now)
    return let_in(request, user, next_url)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return redirect("accounts:sign-in")


def gate_of(next_url: str) -> dict[str, Any]:
    """What the gate shows."""
    return {"next": next_url, "providers": settings.ISPVM_OIDC_PROVIDERS}


def go_on(request: HttpRequest, user: User, *, method: str, next_url: str) -> HttpResponse:
    """After a first proof: in, or to the second step."""
    if signing_in.begin(request, user, method=method, next_url=next_url, at=clock.now()):
        return let_in(request, user, next_url)
    return redirect("accounts:code")


def _owing(request: HttpRequest) -> User | None:
    try:
        return signing_in.pending(request, at=clock.now())[0]
    except SignInRefused:
        return None


def _refuse_passkey(request: HttpRequest, owing: User | None, error: DomainError) -> HttpResponse:
    if owing is None:
        next_url = safe_next(request, request.POST.get("next", "/"))
        return refuse(request, GATE, error, gate_of(next_url))
    return refuse(request, CODE, error, {"factors": second_factor.factors_of(owing)})
