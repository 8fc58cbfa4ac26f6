"""What an address asks of a list: its filter and its order. What nothing is called is ignored."""

from uuid import UUID

from django.http import HttpRequest

from apps.alerts.choices import Severity
from apps.console.web import alerts, device_order, sites
from apps.console.web.alerts import AlertFilter
from apps.console.web.devices import DeviceFilter
from apps.console.web.sites import SiteFilter
from apps.console.web.states import REACH
from apps.inventory.choices import DeviceRole
from apps.pages.ordering import ordering_param
from apps.pages.params import text_param


def asked_devices(request: HttpRequest) -> DeviceFilter:
    """Devices by words, site, role and state."""
    role, state = text_param(request, "role"), text_param(request, "state")
    site = asked_uuid(request, "site")
    return DeviceFilter(
        words=text_param(request, "q"),
        site=site,
        site_words="" if site else text_param(request, "site"),
        role=role if role in DeviceRole.values else "",
        state=state if state in REACH else "",
        order=ordering_param(request, device_order.COLUMNS),
    )


def asked_sites(request: HttpRequest) -> SiteFilter:
    """Sites by words, or those in trouble."""
    return SiteFilter(
        words=text_param(request, "q"),
        only_troubled=text_param(request, "state") == "troubled",
        order=ordering_param(request, sites.COLUMNS),
    )


def asked_alerts(request: HttpRequest) -> AlertFilter:
    """Open alerts of one severity."""
    severity = text_param(request, "severity")
    return AlertFilter(
        severity=severity if severity in Severity.values else "",
        order=ordering_param(request, alerts.COLUMNS),
    )


def asked_uuid(request: HttpRequest, name: str) -> UUID | None:
    """The id under a name, or nothing."""
    try:
        return UUID(text_param(request, name))
    except ValueError:
        return None
