"""Resetting a forgotten password: requesting the mail, and setting a new password by its link."""

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts import password_reset
from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import ResetUnusable, TooManyAttempts
from apps.accounts.web.responses import render_error
from apps.core import clock
from apps.mail.services import is_mail_configured

REQUEST_PAGE = "accounts/reset_request.html"
FORM_PAGE = "accounts/reset.html"
SESSION_KEY = "password_reset"
MAX_PASSWORD_LENGTH = 200


@never_cache
@login_not_required
@require_http_methods(["GET", "POST"])
def request_reset(request: HttpRequest) -> HttpResponse:
    """Request the mail. Any address gets the same answer in the same time."""
    context = {"is_mail_configured": is_mail_configured()}
    if request.method == "GET" or not context["is_mail_configured"]:
        return render(request, REQUEST_PAGE, context)
    address, at = request.POST.get("email", "").strip().replace("\x00", ""), clock.now()
    try:
        require_attempt(request, AttemptKind.RESET, at=at)
    except TooManyAttempts as error:
        return render_error(request, REQUEST_PAGE, error, context)
    password_reset.request_reset(address=address, at=at)
    return render(request, REQUEST_PAGE, {**context, "is_sent": True})


@never_cache
@login_not_required
@sensitive_post_parameters("password", "password_confirm")
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest) -> HttpResponse:
    """The page that the link opens. The key moves from the URL into the session: not in the history or the logs."""
    require_attempt(request, AttemptKind.RESET, at=clock.now())
    if key := request.GET.get("key"):
        request.session[SESSION_KEY] = key[:200]
        return redirect("accounts:reset")
    key = request.session.get(SESSION_KEY, "")
    try:
        password_reset.find_reset(key)
        if request.method == "GET":
            return render(request, FORM_PAGE)
        _reset(request, key)
    except ResetUnusable as error:
        request.session.pop(SESSION_KEY, None)
        return render(request, FORM_PAGE, {"is_invalid": True}, status=error.status)
    except ValidationError as error:
        return render(request, FORM_PAGE, {"errors": error.messages}, status=422)
    request.session.pop(SESSION_KEY, None)
    return render(request, FORM_PAGE, {"is_done": True})


def _reset(request: HttpRequest, key: str) -> None:
    password = request.POST.get("password", "").replace("\x00", "")[:MAX_PASSWORD_LENGTH]
    if password != request.POST.get("password_confirm", ""):
        raise ValidationError(_("The two new passwords differ."))
    password_reset.reset_password(key=key, password=password, at=clock.now())
