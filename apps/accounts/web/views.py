"""Signing in and out."""

from django.contrib import auth
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.attempts import DEVICE_COOKIE, DEVICE_DAYS, caller_address, known_device
from apps.accounts.errors import SignInRefused, TooManyAttempts
from apps.accounts.sign_in import authenticate
from apps.core import clock


@never_cache
@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The gate. Wrong name and wrong password are answered alike."""
    if request.method == "GET":
        if request.user.is_authenticated:
            return redirect("/")
        return render(request, "accounts/sign_in.html")
    email = request.POST.get("email", "").strip()
    try:
        user = authenticate(
            request,
            email=email,
            password=request.POST.get("password", ""),
            address=caller_address(request),
            device=request.COOKIES.get(DEVICE_COOKIE, ""),
            at=clock.now(),
        )
    except TooManyAttempts:
        fault = _("Too many attempts from here. Wait five minutes and try again.")
        return _refuse(request, email, fault, status=429)
    except SignInRefused:
        return _refuse(request, email, _("The address or the password is wrong."), status=401)
    auth.login(request, user)
    answer = HttpResponseRedirect(_next(request))
    answer.set_cookie(
        DEVICE_COOKIE,
        known_device(user.email),
        max_age=DEVICE_DAYS * 86_400,
        path=request.path,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    return answer


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return redirect("accounts:sign-in")


def _refuse(request: HttpRequest, email: str, fault: str, *, status: int) -> HttpResponse:
    return render(request, "accounts/sign_in.html", {"fault": fault, "email": email}, status=status)


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "/")
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if safe else "/"
