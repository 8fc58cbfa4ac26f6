"""Pages that combine several apps; one view renders the page or, for htmx, its partial."""

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
from apps.console.web.alerts import alert_params, alerts_page
from apps.console.web.charts import device_chart
from apps.console.web.csv_exports import export_alerts, export_devices, export_sites
from apps.console.web.device import device_page
from apps.console.web.device_order import COLUMNS as DEVICE_COLUMNS
from apps.console.web.devices import devices_page
from apps.console.web.home import home_page
from apps.console.web.network import NetworkParams, map_document, network_page, topology_graph
from apps.console.web.params import device_filter, site_filter, uuid_param
from apps.console.web.search import search_page
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

#: The data of drawings is never cached by browsers.
UNCACHED = {"Cache-Control": "private, no-store"}


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
    """The NOC home."""
    return _show(request, "home", home_page(access_of(request), at=clock.now()), "home")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def devices(request: HttpRequest) -> HttpResponse:
    """The list of devices."""
    page = devices_page(
        access_of(request), device_filter(request), number=page_number(request), at=clock.now()
    )
    tools = _tools(request, ListPage.DEVICES, DEVICE_COLUMNS)
    return _show(request, "devices", page, "devices", tools=tools)


@expensive
@require_GET
@requires(Permission.INVENTORY_VIEW)
def devices_csv(request: HttpRequest) -> HttpResponseBase:
    """The devices of this filter as CSV."""
    access, filters, at = access_of(request), device_filter(request), clock.now()
    return send_download(
        export_devices(access, filters, at=at), access=access, params=filters.params(), at=at
    )


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def device(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """The page of one device."""
    access = access_of(request)
    at = clock.now()
    page = device_page(
        access,
        get_visible_device(access, device_id),
        chart=text_param(request, "chart"),
        shown=_time_range(request, at),
        at=at,
    )
    return _show(request, "device", page, "devices")


@require_GET
@requires(Permission.INVENTORY_VIEW)
def device_series(request: HttpRequest, device_id: UUID) -> JsonResponse:
    """The data of the device's chart."""
    access = access_of(request)
    access.require(Permission.TELEMETRY_VIEW)
    chart = device_chart(
        access,
        get_visible_device(access, device_id),
        chosen=text_param(request, "chart"),
        time_range=_time_range(request, clock.now()),
    )
    return JsonResponse(chart.as_document(), headers=UNCACHED)


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def sites(request: HttpRequest) -> HttpResponse:
    """The list of sites, those with problems first."""
    page = sites_page(
        access_of(request), site_filter(request), number=page_number(request), at=clock.now()
    )
    tools = _tools(request, ListPage.SITES, SITE_COLUMNS)
    return _show(request, "sites", page, "sites", tools=tools)


@expensive
@require_GET
@requires(Permission.INVENTORY_VIEW)
def sites_csv(request: HttpRequest) -> HttpResponseBase:
    """The sites of this filter as CSV."""
    access, filters, at = access_of(request), site_filter(request), clock.now()
    return send_download(
        export_sites(access, filters, at=at), access=access, params=filters.params(), at=at
    )


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def site(request: HttpRequest, site_id: UUID) -> HttpResponse:
    """The page of one site."""
    access = access_of(request)
    page = site_page(access, get_visible_site(access, site_id), at=clock.now())
    return _show(request, "site", page, "sites")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.ALERTS_VIEW)
def alerts(request: HttpRequest) -> HttpResponse:
    """The list of open alerts."""
    page = alerts_page(
        access_of(request), alert_params(request), number=page_number(request), at=clock.now()
    )
    tools = _tools(request, ListPage.ALERTS, ALERT_COLUMNS)
    return _show(request, "alerts", page, "alerts", tools=tools)


@expensive
@require_GET
@requires(Permission.ALERTS_VIEW)
def alerts_csv(request: HttpRequest) -> HttpResponseBase:
    """The open alerts of this filter as CSV."""
    access, filters, at = access_of(request), alert_params(request), clock.now()
    return send_download(
        export_alerts(access, filters, at=at), access=access, params=filters.params(), at=at
    )


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def search(request: HttpRequest) -> HttpResponse:
    """The search page."""
    access = access_of(request)
    page = search_page(access, text_param(request, "q"))
    return _show(request, "search", page, "search")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def network_map(request: HttpRequest) -> HttpResponse:
    """The map of sites."""
    return _network(request, "map")


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.INVENTORY_VIEW)
def topology(request: HttpRequest) -> HttpResponse:
    """The topology."""
    return _network(request, "topology")


def _network(request: HttpRequest, name: str) -> HttpResponse:
    access = access_of(request)
    params = _network_params(request)
    page = network_page(access, params, query=urlencode(params.as_query()), at=clock.now())
    return _show(request, name, page, name)


@require_GET
@requires(Permission.INVENTORY_VIEW)
def map_data(request: HttpRequest) -> JsonResponse:
    """The data of the map."""
    access = access_of(request)
    document = map_document(access, _network_params(request), at=clock.now())
    return JsonResponse(document, headers=UNCACHED)


@require_GET
@requires(Permission.INVENTORY_VIEW)
def topology_data(request: HttpRequest) -> JsonResponse:
    """The data of the topology."""
    access = access_of(request)
    drawn = topology_graph(access, _network_params(request), at=clock.now())
    return JsonResponse(drawn.as_document(), headers=UNCACHED)


def _network_params(request: HttpRequest) -> NetworkParams:
    role = text_param(request, "role")
    return NetworkParams(
        incident=uuid_param(request, "incident"),
        site=uuid_param(request, "site"),
        role=role if role in DeviceRole.values else "",
        wants_sites=text_param(request, "collapse") == "1",
    )


def _time_range(request: HttpRequest, at: datetime) -> TimeRange:
    return time_range_param(request.GET.dict(), at=at, default="6h", keep=("chart",))
