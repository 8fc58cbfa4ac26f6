"""The queue and one incident; one view serves the page or its living part."""

from contextlib import suppress
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.accounts.permissions import Permission
from apps.accounts.web.doors import access_of, requires
from apps.core import clock
from apps.core.page import wants_part
from apps.incidents import selectors, services
from apps.incidents.errors import AlreadyAcknowledged
from apps.incidents.web.pages import detail_page, queue_page


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INCIDENTS_VIEW)
def queue(request: HttpRequest) -> HttpResponse:
    """Open incidents first."""
    access = access_of(request)
    before = request.GET.get("before", "")
    page = queue_page(
        access,
        status=request.GET.get("status", "open"),
        before=int(before) if before.isdecimal() and len(before) < 10 else None,  # noqa: PLR2004
        at=clock.now(),
    )
    template = "incidents/_list.html" if wants_part(request) else "incidents/list.html"
    return render(request, template, {"page": page, "section": "incidents"})


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INCIDENTS_VIEW)
def detail(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """One incident, its cause, the proof and who is hit."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    page = detail_page(access, incident, at=clock.now())
    template = "incidents/_detail.html" if wants_part(request) else "incidents/detail.html"
    return render(request, template, {"page": page, "section": "incidents"})


@require_POST
@requires(Permission.INCIDENTS_ACT)
def acknowledge(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Take it, and go back to where the button stood; pressed twice, the second press only shows who was first."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    with suppress(AlreadyAcknowledged):
        services.acknowledge_incident(incident_id=incident.id, actor=access.actor, at=clock.now())
    back = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts=None) and back.startswith("/"):
        return redirect(back)
    return redirect("incidents:detail", incident.id)


@require_POST
@requires(Permission.INCIDENTS_ACT)
def note(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Write a note on its timeline."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    services.add_note(
        incident_id=incident.id,
        text=request.POST.get("text", "")[:4000],
        actor=access.actor,
        at=clock.now(),
    )
    return redirect("incidents:detail", incident.id)
