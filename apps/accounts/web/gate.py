"""What the doors of sign-in share: where to go afterwards, the cookie of a known browser, refusals as pages."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from apps.accounts import known_browsers
from apps.accounts.accepting import pending_invitations
from apps.accounts.attempts import caller_address, network_of
from apps.accounts.errors import TooManyAttempts
from apps.accounts.models import User
from apps.core import clock
from apps.core.errors import DomainError


def safe_next(request: HttpRequest, wanted: str, otherwise: str = "/") -> str:
    """Where to go afterwards: a place of ours, never another host."""
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if safe else otherwise


def let_in(request: HttpRequest, user: User, next_url: str) -> HttpResponse:
    """The way in, and the cookie that makes this browser known."""
    next_url = safe_next(request, next_url)
    if next_url == "/" and pending_invitations(user, clock.now()):
        next_url = reverse("accounts:tenants")
    answer = HttpResponseRedirect(next_url)
    network = network_of(caller_address(request))
    answer.set_cookie(
        known_browsers.COOKIE,
        known_browsers.remember_browser(request, user, network=network, at=clock.now()),
        max_age=int(known_browsers.KNOWN_FOR.total_seconds()),
        path=reverse("accounts:sign-in"),
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    return answer


def refuse(
    request: HttpRequest, template: str, error: DomainError, context: Mapping[str, Any]
) -> HttpResponse:
    """The form again, with why."""
    fault = fault_of(error)
    return render(request, template, {**context, "fault": fault}, status=error.status)


def fault_of(error: DomainError) -> str:
    """A refusal in words for people."""
    if isinstance(error, TooManyAttempts):
        return _("Too many attempts from here. Wait five minutes and try again.")
    known = {
        "sign_in_refused": _("The address or the password is wrong."),
        "code_refused": _("This code is wrong, too old or was used already."),
        "passkey_refused": _("The passkey was not accepted."),
    }
    return known.get(error.code, error.message)
