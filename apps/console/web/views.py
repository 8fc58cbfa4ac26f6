"""Pages that join several apps; one view serves the page or its living part."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from apps.accounts.choices import ListPage
from apps.accounts.web.lists import ListTools, list_tools
from apps.authorization.permissions import Permission
from apps.console.web.alerts import COLUMNS as ALERT_COLUMNS
from apps.console.web.alerts import alerts_page
from apps.console.web.asked import asked_alerts, asked_devices, asked_sites, asked_uuid
from apps.console.web.charts import device_chart
from apps.console.web.device import device_page
from apps.console.web.device_order import COLUMNS as DEVICE_COLUMNS
from apps.console.web.devices import devices_page
from apps.console.web.home import home_page
from apps.console.web.network import Asked, map_document, network_page, topology_picture
from apps.console.web.search import search_page
from apps.console.web.sheets import alert_sheet, device_sheet, site_sheet
from apps.console.web.sites import COLUMNS as SITE_COLUMNS
from apps.console.web.sites import site_page, sites_page
from apps.core import clock
from apps.core.admission import expensive
from apps.inventory.choices import DeviceRole
from apps.inventory.selectors import get_visible_device, get_visible_site
from apps.pages.decorators import access_of, requires
from apps.pages.downloads import send_download
from apps.pages.ordering import Column
from apps.pages.params import is_partial_request, page_number, text_param
from apps.pages.time_range import TimeRange, time_range_param

#: Drawings are read anew each time.
UNKEPT = {"Cache-Control": "private, no-store"}


def _show(
    request: HttpRequest, name: str, page: object, section: str, *, tools: ListTools | None = None
) -> HttpResponse:
    template = f"console/_{name}.html" if is_partial_request(request) else f"console/{name}.html"
    return render(request, template, {"page": page, "section": section, "tools": tools})


def _tools(request: HttpRequest, page: ListPage, columns: Sequence[Column]) -> ListTools:
    return list_tools(access_of(request), page, request.GET.urlencode(), columns)


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INCIDENTS_VIEW)
def home(request: HttpRequest) -> HttpResponse:
    """What is broken, who cannot see, how the rest is."""
    return _show(request, "home", home_page(access_of(request), at=clock.now()), "home")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def devices(request: HttpRequest) -> HttpResponse:
    """Devices by site, role, state and words."""
    page = devices_page(
        access_of(request), asked_devices(request), number=page_number(request), at=clock.now()
    )
    tools = _tools(request, ListPage.DEVICES, DEVICE_COLUMNS)
    return _show(request, "devices", page, "devices", tools=tools)


@expensive
@require_GET
@requires(Permission.INVENTORY_VIEW)
def devices_sheet(request: HttpRequest) -> HttpResponseBase:
    """The devices of this filter as a file."""
    access, asked, at = access_of(request), asked_devices(request), clock.now()
    return send_download(
        device_sheet(access, asked, at=at), access=access, params=asked.asked(), at=at
    )


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def device(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """One device, aspect by aspect."""
    access = access_of(request)
    at = clock.now()
    page = device_page(
        access,
        get_visible_device(access, device_id),
        chart=text_param(request, "chart"),
        shown=_span(request, at),
        at=at,
    )
    return _show(request, "device", page, "devices")


@require_GET
@requires(Permission.INVENTORY_VIEW)
def device_series(request: HttpRequest, device_id: UUID) -> JsonResponse:
    """What the device's chart draws."""
    access = access_of(request)
    access.require(Permission.TELEMETRY_VIEW)
    chart = device_chart(
        access,
        get_visible_device(access, device_id),
        asked=text_param(request, "chart"),
        span=_span(request, clock.now()),
    )
    return JsonResponse(chart.as_document(), headers=UNKEPT)


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def sites(request: HttpRequest) -> HttpResponse:
    """Sites, the troubled first."""
    page = sites_page(
        access_of(request), asked_sites(request), number=page_number(request), at=clock.now()
    )
    tools = _tools(request, ListPage.SITES, SITE_COLUMNS)
    return _show(request, "sites", page, "sites", tools=tools)


@expensive
@require_GET
@requires(Permission.INVENTORY_VIEW)
def sites_sheet(request: HttpRequest) -> HttpResponseBase:
    """The sites of this filter as a file."""
    access, asked, at = access_of(request), asked_sites(request), clock.now()
    return send_download(
        site_sheet(access, asked, at=at), access=access, params=asked.asked(), at=at
    )


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def site(request: HttpRequest, site_id: UUID) -> HttpResponse:
    """One site and what stands there."""
    access = access_of(request)
    page = site_page(access, get_visible_site(access, site_id), at=clock.now())
    return _show(request, "site", page, "sites")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.ALERTS_VIEW)
def alerts(request: HttpRequest) -> HttpResponse:
    """Open alerts with what was seen."""
    page = alerts_page(
        access_of(request), asked_alerts(request), number=page_number(request), at=clock.now()
    )
    tools = _tools(request, ListPage.ALERTS, ALERT_COLUMNS)
    return _show(request, "alerts", page, "alerts", tools=tools)


@expensive
@require_GET
@requires(Permission.ALERTS_VIEW)
def alerts_sheet(request: HttpRequest) -> HttpResponseBase:
    """The open alerts of this filter as a file."""
    access, asked, at = access_of(request), asked_alerts(request), clock.now()
    return send_download(
        alert_sheet(access, asked, at=at), access=access, params=asked.asked(), at=at
    )


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def search(request: HttpRequest) -> HttpResponse:
    """Devices, sites and incidents by words."""
    access = access_of(request)
    page = search_page(access, text_param(request, "q"))
    return _show(request, "search", page, "search")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def network_map(request: HttpRequest) -> HttpResponse:
    """Sites where they stand, with their state."""
    return _network(request, "map")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def topology(request: HttpRequest) -> HttpResponse:
    """What hangs on what."""
    return _network(request, "topology")


def _network(request: HttpRequest, name: str) -> HttpResponse:
    access = access_of(request)
    asked = _asked_network(request)
    page = network_page(access, asked, query=urlencode(asked.as_query()), at=clock.now())
    return _show(request, name, page, name)


@require_GET
@requires(Permission.INVENTORY_VIEW)
def map_data(request: HttpRequest) -> JsonResponse:
    """What the map draws."""
    access = access_of(request)
    document = map_document(access, _asked_network(request), at=clock.now())
    return JsonResponse(document, headers=UNKEPT)


@require_GET
@requires(Permission.INVENTORY_VIEW)
def topology_data(request: HttpRequest) -> JsonResponse:
    """What the topology draws."""
    access = access_of(request)
    drawn = topology_picture(access, _asked_network(request), at=clock.now())
    return JsonResponse(drawn.as_document(), headers=UNKEPT)


def _asked_network(request: HttpRequest) -> Asked:
    role = text_param(request, "role")
    return Asked(
        incident=asked_uuid(request, "incident"),
        site=asked_uuid(request, "site"),
        role=role if role in DeviceRole.values else "",
        wants_sites=text_param(request, "collapse") == "1",
    )


def _span(request: HttpRequest, at: datetime) -> TimeRange:
    return time_range_param(request.GET.dict(), at=at, default="6h", keep=("chart",))
