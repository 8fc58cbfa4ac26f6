"""Pages of maintenance: the windows, planning one, ending one."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods
from django.views.decorators.vary import vary_on_headers

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.console.web.params import uuid_param
from apps.console.web.plan_form import PlanForm
from apps.console.web.planning import (
    Targets,
    preview_of,
    search_targets,
    selected_targets,
    targets_of_incident,
)
from apps.console.web.windows import ALL, STATES, windows_page
from apps.core import clock
from apps.incidents.selectors import get_visible_incident
from apps.inventory.selectors import get_visible_device, get_visible_site
from apps.maintenance import services
from apps.maintenance.choices import WindowState
from apps.maintenance.errors import WindowEnded
from apps.maintenance.selectors import get_visible_window
from apps.pages.decorators import access_of, requires
from apps.pages.params import is_partial_request, page_number, text_param

SECTION = "maintenance"
#: Partials of the form by the id of the htmx target.
PARTS = {"targets": "console/_plan_targets.html", "preview": "console/_plan_preview.html"}


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.MAINTENANCE_VIEW)
def windows(request: HttpRequest) -> HttpResponse:
    """Maintenance windows: active, planned, past."""
    state = text_param(request, "state")
    page = windows_page(
        access_of(request),
        state=state if state in {*WindowState.values, ALL} else "",
        number=page_number(request),
        at=clock.now(),
    )
    template = (
        "console/_maintenance.html" if is_partial_request(request) else "console/maintenance.html"
    )
    return render(request, template, {"page": page, "section": SECTION})


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
@requires(Permission.MAINTENANCE_PLAN)
def plan(request: HttpRequest) -> HttpResponse:
    """The form with a preview of its scope; only the submit button saves."""
    access, at = access_of(request), clock.now()
    if request.method == "GET":
        targets = _targets_from_params(request, access)
        return _form(request, PlanForm(targets=targets, at=at), targets)
    targets = selected_targets(
        access,
        site_ids=_ids(request.POST.getlist("site")),
        device_ids=_ids(request.POST.getlist("device")),
    )
    form = PlanForm(request.POST, targets=targets, at=at)
    if not form.is_valid() or request.POST.get("step") != "plan":
        return _form(request, form, targets)
    services.plan_window(
        **form.cleaned_data,
        site_ids=targets.site_ids,
        device_ids=targets.device_ids,
        actor=access.actor,
        at=at,
    )
    return redirect("console:maintenance")


def _form(request: HttpRequest, form: PlanForm, targets: Targets) -> HttpResponse:
    """Renders the form again. A search for targets shows no errors of other fields yet."""
    access = access_of(request)
    words = request.POST.get("q", "").replace("\x00", "").strip()[:100]
    is_clean = form.is_bound and form.is_valid()
    values = form.cleaned_data if form.is_bound else {}
    notifies_critical = bool(form["notify_critical"].value())
    context: dict[str, Any] = {
        "form": form,
        "targets": targets,
        "words": words,
        "found": search_targets(access, words, but=targets),
        "preview": None
        if targets.is_empty
        else preview_of(access, targets, notifies_critical=notifies_critical),
        "starts_at": values.get("starts_at"),
        "ends_at": values.get("ends_at"),
        "is_clean": is_clean,
        "section": SECTION,
    }
    if not (targets.is_empty or is_clean):
        form.fields["title"].widget.attrs["autofocus"] = True
    part = PARTS.get(request.htmx.target) if is_partial_request(request) else None  # type: ignore[attr-defined]
    if part:
        return render(request, part, context)
    is_refused = form.is_bound and not is_clean
    if is_refused and words and request.POST.get("step") != "plan":
        context["form"] = PlanForm(initial=request.POST.dict(), targets=targets, at=clock.now())
        is_refused = False
    return render(request, "console/plan.html", context, status=422 if is_refused else 200)


def _targets_from_params(request: HttpRequest, access: Access) -> Targets:
    """The targets of the URL, set by the page that links here. Raises NotVisible."""
    if pk := uuid_param(request, "incident"):
        return targets_of_incident(access, get_visible_incident(access, pk))
    if pk := uuid_param(request, "site"):
        return Targets(sites=(get_visible_site(access, pk),))
    if pk := uuid_param(request, "device"):
        return Targets(devices=(get_visible_device(access, pk),))
    return Targets()


def _ids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts[: services.MAX_TARGETS]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


@require_http_methods(["GET", "POST"])
@requires(Permission.MAINTENANCE_PLAN)
def end(request: HttpRequest, window_id: UUID) -> HttpResponse:
    """Asks for confirmation, then ends the window, or cancels it before its start."""
    access, at = access_of(request), clock.now()
    window = get_visible_window(access, window_id)
    if request.method == "POST":
        services.end_window(window=window, actor=access.actor, at=at)
        return redirect("console:maintenance")
    state = window.state_at(at)
    if state == WindowState.OVER:
        raise WindowEnded(message="This window is over.")
    context = {
        "window": window,
        "state": STATES[state],
        "is_planned": state == WindowState.PLANNED,
        "section": SECTION,
    }
    return render(request, "console/end_window.html", context)
