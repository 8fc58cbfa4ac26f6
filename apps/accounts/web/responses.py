"""Responses shared by the sign-in views: safe redirects, the known-browser cookie, forms with an error."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from apps.accounts import known_browsers
from apps.accounts.accept_invitation import pending_invitations
from apps.accounts.attempts import caller_address, network_of
from apps.accounts.errors import TooManyAttempts
from apps.accounts.models import User
from apps.core import clock
from apps.core.errors import DomainError


def safe_next(request: HttpRequest, next_url: str, default: str = "/") -> str:
    """``next_url`` if it is on this host, else the default."""
    is_safe = url_has_allowed_host_and_scheme(next_url, allowed_hosts={request.get_host()})
    return next_url if is_safe else default


def redirect_signed_in(request: HttpRequest, user: User, next_url: str) -> HttpResponse:
    """Redirect after a completed sign-in, and set the known-browser cookie."""
    next_url = safe_next(request, next_url)
    if next_url == "/" and pending_invitations(user, clock.now()):
        next_url = reverse("accounts:tenants")
    response = HttpResponseRedirect(next_url)
    network = network_of(caller_address(request))
    response.set_cookie(
        known_browsers.COOKIE,
        known_browsers.remember_browser(request, user, network=network, at=clock.now()),
        max_age=int(known_browsers.LIFETIME.total_seconds()),
        path=reverse("accounts:sign-in"),
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    return response


def render_error(
    request: HttpRequest, template: str, error: DomainError, context: Mapping[str, Any]
) -> HttpResponse:
    """The form again, with the error."""
    return render(request, template, {**context, "error": error_text(error)}, status=error.status)


def error_text(error: DomainError) -> str:
    """The text of an error, translated where it is a common one."""
    if isinstance(error, TooManyAttempts):
        return _("Too many attempts. Wait five minutes and try again.")
    texts = {
        "sign_in_refused": _("The address or the password is wrong."),
        "code_refused": _("The code is wrong, expired or already used."),
        "passkey_refused": _("The passkey was not accepted."),
    }
    return texts.get(error.code, error.message)
