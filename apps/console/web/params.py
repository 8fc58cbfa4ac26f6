"""Filters and sort orders of lists from the parameters of a URL. Unknown values are ignored."""

from uuid import UUID

from django.http import HttpRequest

from apps.console.web import device_order, sites
from apps.console.web.devices import DeviceFilter
from apps.console.web.sites import SiteFilter
from apps.console.web.states import REACHABILITY_STATES
from apps.inventory.choices import DeviceRole
from apps.pages.ordering import ordering_param
from apps.pages.params import text_param


def device_filter(request: HttpRequest) -> DeviceFilter:
    """The filter of devices: text, site, role and state."""
    role, state = text_param(request, "role"), text_param(request, "state")
    site = uuid_param(request, "site")
    return DeviceFilter(
        words=text_param(request, "q"),
        site=site,
        site_words="" if site else text_param(request, "site"),
        role=role if role in DeviceRole.values else "",
        state=state if state in REACHABILITY_STATES else "",
        order=ordering_param(request, device_order.COLUMNS),
    )


def site_filter(request: HttpRequest) -> SiteFilter:
    """The filter of sites: text, and only those with problems."""
    return SiteFilter(
        words=text_param(request, "q"),
        only_problems=text_param(request, "state") == "problems",
        order=ordering_param(request, sites.COLUMNS),
    )


def uuid_param(request: HttpRequest, name: str) -> UUID | None:
    """The UUID of a parameter, or None."""
    try:
        return UUID(text_param(request, name))
    except ValueError:
        return None
