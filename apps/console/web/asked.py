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
from apps.pages.ordering import asked_order
from apps.pages.params import asked_word


def asked_devices(request: HttpRequest) -> DeviceFilter:
    """Devices by words, site, role and state."""
    role, state = asked_word(request, "role"), asked_word(request, "state")
    site = asked_uuid(request, "site")
    return DeviceFilter(
        words=asked_word(request, "q"),
        site=site,
        site_words="" if site else asked_word(request, "site"),
        role=role if role in DeviceRole.values else "",
        state=state if state in REACH else "",
        order=asked_order(request, device_order.COLUMNS),
    )


def asked_sites(request: HttpRequest) -> SiteFilter:
    """Sites by words, or those in trouble."""
    return SiteFilter(
        words=asked_word(request, "q"),
        only_troubled=asked_word(request, "state") == "troubled",
        order=asked_order(request, sites.COLUMNS),
    )


def asked_alerts(request: HttpRequest) -> AlertFilter:
    """Open alerts of one severity."""
    severity = asked_word(request, "severity")
    return AlertFilter(
        severity=severity if severity in Severity.values else "",
        order=asked_order(request, alerts.COLUMNS),
    )


def asked_uuid(request: HttpRequest, name: str) -> UUID | None:
    """The id under a name, or nothing."""
    try:
        return UUID(asked_word(request, name))
    except ValueError:
        return None
