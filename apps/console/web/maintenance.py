"""Pages of maintenance: the windows, planning one, ending one."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods
from django.views.decorators.vary import vary_on_headers

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.console.web.asked import asked_uuid
from apps.console.web.plan_form import PlanForm
from apps.console.web.planning import (
    Places,
    places_called,
    places_named,
    places_of_incident,
    preview_of,
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
#: What of the form is answered alone, by the id of the element that asks.
PARTS = {"places": "console/_plan_places.html", "preview": "console/_plan_preview.html"}


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.MAINTENANCE_VIEW)
def windows(request: HttpRequest) -> HttpResponse:
    """Announced work: what runs, what is planned, what was."""
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
    """The form with what it matches; only its last button saves."""
    access, at = access_of(request), clock.now()
    if request.method == "GET":
        places = _places_of_address(request, access)
        return _form(request, PlanForm(places=places, at=at), places)
    places = places_named(
        access,
        site_ids=_ids(request.POST.getlist("site")),
        device_ids=_ids(request.POST.getlist("device")),
    )
    form = PlanForm(request.POST, places=places, at=at)
    if not form.is_valid() or request.POST.get("step") != "plan":
        return _form(request, form, places)
    services.plan_window(
        **form.cleaned_data,
        site_ids=places.site_ids,
        device_ids=places.device_ids,
        actor=access.actor,
        at=at,
    )
    return redirect("console:maintenance")


def _form(request: HttpRequest, form: PlanForm, places: Places) -> HttpResponse:
    """The form again. Whoever only looks for a place by name is not told yet what is missing elsewhere."""
    access = access_of(request)
    words = request.POST.get("q", "").replace("\x00", "").strip()[:100]
    is_clean = form.is_bound and form.is_valid()
    said = form.cleaned_data if form.is_bound else {}
    hears_critical = bool(form["notify_critical"].value())
    context: dict[str, Any] = {
        "form": form,
        "places": places,
        "words": words,
        "found": places_called(access, words, but=places),
        "preview": None
        if places.is_empty
        else preview_of(access, places, hears_critical=hears_critical),
        "starts_at": said.get("starts_at"),
        "ends_at": said.get("ends_at"),
        "is_clean": is_clean,
        "section": SECTION,
    }
    if not (places.is_empty or is_clean):
        form.fields["title"].widget.attrs["autofocus"] = True
    part = PARTS.get(request.htmx.target) if is_partial_request(request) else None  # type: ignore[attr-defined]
    if part:
        return render(request, part, context)
    is_refused = form.is_bound and not is_clean
    if is_refused and words and request.POST.get("step") != "plan":
        context["form"] = PlanForm(initial=request.POST.dict(), places=places, at=clock.now())
        is_refused = False
    return render(request, "console/plan.html", context, status=422 if is_refused else 200)


def _places_of_address(request: HttpRequest, access: Access) -> Places:
    """What another page leads here with. Raises NotVisible."""
    if pk := asked_uuid(request, "incident"):
        return places_of_incident(access, get_visible_incident(access, pk))
    if pk := asked_uuid(request, "site"):
        return Places(sites=(get_visible_site(access, pk),))
    if pk := asked_uuid(request, "device"):
        return Places(devices=(get_visible_device(access, pk),))
    return Places()


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
    """Says what it ends, then ends it: now, or before it began."""
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
