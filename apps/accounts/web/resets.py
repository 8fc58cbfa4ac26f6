"""Somebody who has forgotten their password: asks for a mail, and sets a new one by the link in it."""

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts import resetting
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import ResetUnusable, TooManyAttempts
from apps.accounts.web.gate import refuse
from apps.core import clock
from apps.mail.services import is_mail_configured

REQUEST = "accounts/reset_request.html"
FORM = "accounts/reset.html"
SESSION_KEY = "password_reset"
LONGEST_PASSWORD = 200


@never_cache
@login_not_required
@require_http_methods(["GET", "POST"])
def request_reset(request: HttpRequest) -> HttpResponse:
    """Whatever is typed is answered alike, and in the same time."""
    shown = {"is_mail_configured": is_mail_configured()}
    if request.method == "GET" or not shown["is_mail_configured"]:
        return render(request, REQUEST, shown)
    address, at = request.POST.get("email", "").strip().replace("\x00", ""), clock.now()
    try:
        require_attempt(request, Door.RESET, at=at)
    except TooManyAttempts as error:
        return refuse(request, REQUEST, error, shown)
    resetting.request_reset(address=address, at=at)
    return render(request, REQUEST, {**shown, "is_sent": True})


@never_cache
@login_not_required
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest) -> HttpResponse:
    """The page that the link opens; the key moves from the address into the session, as an invitation's does."""
    require_attempt(request, Door.RESET, at=clock.now())
    if key := request.GET.get("key"):
        request.session[SESSION_KEY] = key[:200]
        return redirect("accounts:reset")
    key = request.session.get(SESSION_KEY, "")
    try:
        resetting.find_reset(key)
        if request.method == "GET":
            return render(request, FORM)
        _reset(request, key)
    except ResetUnusable as fault:
        request.session.pop(SESSION_KEY, None)
        return render(request, FORM, {"gone": True}, status=fault.status)
    except ValidationError as fault:
        return render(request, FORM, {"faults": fault.messages}, status=422)
    request.session.pop(SESSION_KEY, None)
    return render(request, FORM, {"is_done": True})


def _reset(request: HttpRequest, key: str) -> None:
    password = request.POST.get("password", "").replace("\x00", "")[:LONGEST_PASSWORD]
    if password != request.POST.get("again", ""):
        raise ValidationError(_("The two new passwords differ."))
    resetting.reset_password(key=key, password=password, at=clock.now())
