"""The setup page of a new installation: available until the code from the log has been used, then 404."""

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import SetupCodeRefused, TooManyAttempts
from apps.accounts.setup import FirstTenant, complete_setup, is_open
from apps.accounts.web.responses import error_text
from apps.core import clock
from apps.core.errors import NotVisible

MAX_LENGTHS = {"code": 60, "tenant_name": 200, "name": 140, "email": 254, "password": 200}


@never_cache
@login_not_required
@sensitive_post_parameters("code", "password", "password_confirm")
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """First tenant, first admin and platform operator, in exchange for the one-time code."""
    if not is_open():
        raise NotVisible
    if request.method == "GET":
        return render(request, "accounts/setup.html", {})
    values = {name: _text(request, name) for name in MAX_LENGTHS}
    at = clock.now()
    try:
        require_attempt(request, AttemptKind.SETUP, at=at)
        _validate(values, password_confirm=request.POST.get("password_confirm", ""))
        code = values.pop("code")
        complete_setup(code=code, first=FirstTenant(**values), at=at)
    except (TooManyAttempts, SetupCodeRefused) as error:
        return _render(request, values, [error_text(error)], error.status)
    except ValidationError as error:
        return _render(request, values, error.messages, 422)
    return render(request, "accounts/setup.html", {"is_done": True})


def _validate(values: dict[str, str], *, password_confirm: str) -> None:
    """Raises ValidationError with every error of the form."""
    errors = []
    if not values["tenant_name"].strip():
        errors.append(_("Enter the name of your company or network."))
    try:
        validate_email(values["email"])
    except ValidationError as error:
        errors += error.messages
    if password_confirm != values["password"]:
        errors.append(_("The two passwords differ."))
    if errors:
        raise ValidationError(errors)


def _text(request: HttpRequest, name: str) -> str:
    text = request.POST.get(name, "").replace("\x00", "")[: MAX_LENGTHS[name]]
    return text if name == "password" else text.strip()


def _render(
    request: HttpRequest, values: dict[str, str], errors: list[str], status: int
) -> HttpResponse:
    context = {name: values.get(name, "") for name in ("code", "tenant_name", "name", "email")}
    return render(request, "accounts/setup.html", {**context, "errors": errors}, status=status)
