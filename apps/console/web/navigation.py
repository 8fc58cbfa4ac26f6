"""The navigation of every page, with the counts beside its entries."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.urls import resolve, reverse
from django.utils.translation import gettext as _

from apps.agents.selectors import offline_agent_count
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.backoffice.site import SITE_PERMISSION
from apps.core import clock
from apps.incidents.selectors import open_incident_count

PHONE_BAR = frozenset({"home", "incidents", "map", "devices", "alerts"})


@dataclass(frozen=True)
class Section:
    """One entry of the navigation; ``key`` is the letter after ``g``."""

    name: str
    label: str
    icon: str
    url: str
    key: str
    count: int = 0
    is_blind: bool = False

    @property
    def in_phone_bar(self) -> bool:
        """Is in the bottom bar of a phone; the others are in the user menu there."""
        return self.name in PHONE_BAR


class Navigation:
    """Evaluated by base.html only, so that partials need no queries for it."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @cached_property
    def groups(self) -> list[list[Section]]:
        """The navigation in its groups. Two queries."""
        offline = offline_agent_count(self._access, clock.now())
        open_incidents = open_incident_count(self._access)
        every = [
            [
                Section("home", _("Home"), "home", reverse("console:home"), "h"),
                Section(
                    "incidents",
                    _("Incidents"),
                    "incidents",
                    reverse("incidents:list"),
                    "i",
                    open_incidents,
                ),
                Section("map", _("Map"), "map", reverse("console:map"), "m"),
                Section("topology", _("Topology"), "topology", reverse("console:topology"), "t"),
            ],
            [
                Section("devices", _("Devices"), "devices", reverse("console:devices"), "d"),
                Section("sites", _("Sites"), "sites", reverse("console:sites"), "s"),
            ],
            [
                Section("alerts", _("Alerts"), "alerts", reverse("console:alerts"), "l"),
                Section(
                    "maintenance",
                    _("Maintenance"),
                    "cal",
                    reverse("console:maintenance"),
                    "p",
                ),
                Section(
                    "agents",
                    _("Agents"),
                    "agents",
                    reverse("agents:list"),
                    "a",
                    offline,
                    is_blind=True,
                ),
                Section("webhooks", _("Webhooks"), "mail", reverse("delivery:deliveries"), "w"),
            ],
        ]
        allowed = [[entry for entry in group if self._may_open(entry)] for group in every]
        return [group for group in allowed if group]

    def _may_open(self, entry: Section) -> bool:
        """Whether the member has the permission that the page itself requires."""
        return self._access.may(resolve(entry.url).func.page_permission)  # type: ignore[attr-defined]

    @property
    def may_plan(self) -> bool:
        """Whether rows offer to plan maintenance."""
        return self._access.may(Permission.MAINTENANCE_PLAN)

    @property
    def has_admin(self) -> bool:
        """Whether the user menu links to the admin."""
        return self._access.may(SITE_PERMISSION)

    @property
    def rotation(self) -> tuple[str, ...]:
        """The pages that a wallboard rotates through."""
        names = ("console:home", "console:map", "incidents:list", "console:topology")
        return tuple(reverse(name) for name in names)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Template context: the navigation, for members of a tenant."""
    access = getattr(request, "access", None)
    return {"navigation": Navigation(access)} if access is not None else {}
