"""Pages of incidents; each view renders the page or its htmx partial."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.accounts.choices import ListPage
from apps.accounts.selectors import member_labels
from apps.accounts.web.lists import list_tools
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.admission import expensive
from apps.incidents import selectors, services
from apps.incidents.errors import AlreadyAcknowledged, IncidentClosed
from apps.incidents.limits import require_fully_visible
from apps.incidents.lists import INCIDENTS
from apps.incidents.models import Incident
from apps.incidents.web.csv_export import queue_csv
from apps.incidents.web.impact import impact_chart, impact_graph
from apps.incidents.web.ordering import parse_cursor
from apps.incidents.web.pages import detail_page, queue_page
from apps.pages.decorators import access_of, requires
from apps.pages.downloads import send_download
from apps.pages.params import is_partial_request

#: Chart and graph data is never cached.
NO_STORE = {"Cache-Control": "private, no-store"}
#: Of one bulk action.
MAX_SELECTED = 200


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INCIDENTS_VIEW)
def queue(request: HttpRequest) -> HttpResponse:
    """The incident list."""
    page = queue_page(
        access_of(request),
        INCIDENTS.request_params(request),
        cursor=parse_cursor(request.GET.get("after", "")),
        at=clock.now(),
    )
    template = "incidents/_list.html" if is_partial_request(request) else "incidents/list.html"
    tools = list_tools(access_of(request), ListPage.INCIDENTS, request.GET.urlencode())
    return render(request, template, {"page": page, "section": "incidents", "tools": tools})


@expensive
@require_GET
@requires(Permission.INCIDENTS_VIEW)
def queue_csv_file(request: HttpRequest) -> HttpResponseBase:
    """The incidents of this filter as CSV."""
    access, params = access_of(request), INCIDENTS.request_params(request)
    return send_download(
        queue_csv(access, params), access=access, params=params.params(), at=clock.now()
    )


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INCIDENTS_VIEW)
def detail(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """One incident: causes, evidence, impact, timeline."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    page = detail_page(access, incident, at=clock.now())
    template = "incidents/_detail.html" if is_partial_request(request) else "incidents/detail.html"
    context: dict[str, Any] = {"page": page, "section": "incidents"}
    if page.can_act and not is_partial_request(request):
        context["members"] = member_labels()
    return render(request, template, context)


def _fully_visible(request: HttpRequest, incident_id: UUID) -> Incident:
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    require_fully_visible(access, incident)
    return incident


@require_GET
@requires(Permission.INCIDENTS_VIEW)
def series(request: HttpRequest, incident_id: UUID) -> JsonResponse:
    """Data of the chart above the timeline."""
    incident = _fully_visible(request, incident_id)
    return JsonResponse(impact_chart(incident, at=clock.now()).as_document(), headers=NO_STORE)


@require_GET
@requires(Permission.INCIDENTS_VIEW)
def impact(request: HttpRequest, incident_id: UUID) -> JsonResponse:
    """Nodes and links of the impact graph."""
    incident = _fully_visible(request, incident_id)
    view = impact_graph(access_of(request), incident, at=clock.now())
    return JsonResponse(view.as_document(), headers=NO_STORE)


@require_POST
@requires(Permission.INCIDENTS_ACT)
def acknowledge(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Acknowledge it and return to the previous page; a second acknowledgement changes nothing."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    with suppress(AlreadyAcknowledged):
        services.acknowledge_incident(incident_id=incident.id, actor=access.actor, at=clock.now())
    return _redirect_back(request, incident.id)


@require_POST
@requires(Permission.INCIDENTS_ACT)
def acknowledge_many(request: HttpRequest) -> HttpResponse:
    """Acknowledge the selected incidents; acknowledged and closed ones stay unchanged."""
    access = access_of(request)
    selected_ids = [pk for pk in map(_uuid, request.POST.getlist("incident")[:MAX_SELECTED]) if pk]
    rows = Incident.objects.visible_to(access).filter(pk__in=selected_ids).order_by("number")
    for incident_id in rows.values_list("pk", flat=True):
        with suppress(AlreadyAcknowledged, IncidentClosed):
            services.acknowledge_incident(
                incident_id=incident_id, actor=access.actor, at=clock.now()
            )
    return _redirect_back(request, None)


@require_POST
@requires(Permission.INCIDENTS_ACT)
def assign(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Assign it to a member, or unassign it."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    services.assign_incident(
        incident_id=incident.id,
        user_id=_uuid(request.POST.get("member", "")),
        actor=access.actor,
        at=clock.now(),
    )
    return redirect("incidents:detail", incident.id)


@require_POST
@requires(Permission.INCIDENTS_ACT)
def close(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Close it with a reason, although alerts may still be firing."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    services.close_incident(
        incident_id=incident.id,
        reason=request.POST.get("reason", "")[:1000],
        actor=access.actor,
        at=clock.now(),
    )
    return redirect("incidents:detail", incident.id)


def _redirect_back(request: HttpRequest, incident_id: UUID | None) -> HttpResponse:
    """Redirect to the page that the form was on."""
    next_url = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(next_url, allowed_hosts=None) and next_url.startswith("/"):
        return redirect(next_url)
    return redirect("incidents:detail", incident_id) if incident_id else redirect("incidents:list")


def _one_of(text: str, known: Collection[str]) -> str:
    return text if text in known else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


@require_POST
@requires(Permission.INCIDENTS_ACT)
def note(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Add a note to its timeline."""
    access = access_of(request)
    incident = selectors.get_visible_incident(access, incident_id)
    services.add_note(
        incident_id=incident.id,
        text=request.POST.get("text", "")[:4000],
        actor=access.actor,
        at=clock.now(),
    )
    return redirect("incidents:detail", incident.id)
