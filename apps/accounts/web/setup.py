"""The page of the first installation: there until somebody has used the code from the log, then gone."""

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import SetupCodeRefused, TooManyAttempts
from apps.accounts.setup import FirstTenant, complete_setup, is_open
from apps.accounts.web.gate import fault_of
from apps.core import clock
from apps.core.errors import NotVisible

LONGEST = {"code": 60, "tenant_name": 200, "name": 140, "email": 254, "password": 200}


@never_cache
@login_not_required
@sensitive_post_parameters("code", "password", "again")
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """First tenant, first admin and platform operator, in exchange for the one-time code."""
    if not is_open():
        raise NotVisible
    if request.method == "GET":
        return render(request, "accounts/setup.html", {})
    values = {name: _text(request, name) for name in LONGEST}
    at = clock.now()
    try:
        require_attempt(request, Door.SETUP, at=at)
        _validate(values, again=request.POST.get("again", ""))
        code = values.pop("code")
        complete_setup(code=code, first=FirstTenant(**values), at=at)
    except (TooManyAttempts, SetupCodeRefused) as error:
        return _show(request, values, [fault_of(error)], error.status)
    except ValidationError as error:
        return _show(request, values, error.messages, 422)
    return render(request, "accounts/setup.html", {"is_done": True})


def _validate(values: dict[str, str], *, again: str) -> None:
    """Raises ValidationError with every fault of the form."""
    faults = []
    if not values["tenant_name"].strip():
        faults.append(_("Enter the name of your company or network."))
    try:
        validate_email(values["email"])
    except ValidationError as error:
        faults += error.messages
    if again != values["password"]:
        faults.append(_("The two passwords differ."))
    if faults:
        raise ValidationError(faults)


def _text(request: HttpRequest, name: str) -> str:
    text = request.POST.get(name, "").replace("\x00", "")[: LONGEST[name]]
    return text if name == "password" else text.strip()


def _show(
    request: HttpRequest, values: dict[str, str], faults: list[str], status: int
) -> HttpResponse:
    shown = {name: values.get(name, "") for name in ("code", "tenant_name", "name", "email")}
    return render(request, "accounts/setup.html", {**shown, "faults": faults}, status=status)
