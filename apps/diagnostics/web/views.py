"""The connection test section of a device page, which refreshes while a test runs."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.diagnostics.choices import TestOutcome, TestState
from apps.diagnostics.errors import NoAgent, TestInProgress, TooManyTests
from apps.diagnostics.selectors import last_test, outcome_text, state_of
from apps.diagnostics.services import request_test
from apps.inventory.errors import LoginHeld
from apps.inventory.selectors import get_visible_device
from apps.pages.decorators import access_of, requires
from apps.pages.params import is_partial_request


@require_http_methods(["GET", "POST"])
@requires(Permission.DIAGNOSTICS_RUN)
def connection_test(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """The newest test of a device; POST requests another."""
    access, at = access_of(request), clock.now()
    device = get_visible_device(access, device_id)
    error = ""
    if request.method == "POST":
        try:
            request_test(device=device, actor=access.actor, at=at)
        except (LoginHeld, NoAgent, TestInProgress, TooManyTests) as refused:
            error = refused.message
        if not is_partial_request(request):
            return redirect("console:device", device_id)
    test = last_test(access, device.id)
    state = state_of(test, at) if test else None
    context = {
        "device": device,
        "test": test,
        "state": state,
        "error": error,
        "outcome": outcome_text(test, device.collector) if test else "",
        "is_open": state in {TestState.WAITING, TestState.RUNNING},
        "is_ok": test is not None and test.outcome == TestOutcome.OK,
    }
    return render(request, "diagnostics/_connection_test.html", context)
