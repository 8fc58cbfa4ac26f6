"""The frame around every page: where one can go, and what waits there."""

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

UNDER_THE_THUMB = frozenset({"home", "incidents", "map", "devices", "alerts"})


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
    def is_first(self) -> bool:
        """Has a place under the thumb on a phone; the others stand in the person's menu there."""
        return self.name in UNDER_THE_THUMB


class Frame:
    """Asked by base.html only, so that partial answers cost nothing."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @cached_property
    def groups(self) -> list[list[Section]]:
        """The navigation in its groups. Two queries."""
        silent = offline_agent_count(self._access, clock.now())
        troubles = open_incident_count(self._access)
        seen = [
            [
                Section("home", _("Home"), "home", reverse("console:home"), "h"),
                Section(
                    "incidents",
                    _("Incidents"),
                    "incidents",
                    reverse("incidents:list"),
                    "i",
                    troubles,
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
                    silent,
                    is_blind=True,
                ),
                Section("webhooks", _("Webhooks"), "mail", reverse("webhooks:deliveries"), "w"),
            ],
        ]
        kept = [[entry for entry in group if self._may_enter(entry)] for group in seen]
        return [group for group in kept if group]

    def _may_enter(self, entry: Section) -> bool:
        """Nobody is led to a door that is shut: the page itself says what it needs."""
        return self._access.may(resolve(entry.url).func.page_permission)  # type: ignore[attr-defined]

    @property
    def may_plan(self) -> bool:
        """May plan work on what stands on the screen."""
        return self._access.may(Permission.MAINTENANCE_PLAN)

    @property
    def has_admin(self) -> bool:
        """May enter the admin."""
        return self._access.may(SITE_PERMISSION)

    @property
    def rotation(self) -> tuple[str, ...]:
        """What a wallboard goes round."""
        names = ("console:home", "console:map", "incidents:list", "console:topology")
        return tuple(reverse(name) for name in names)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Template context: the frame, for members of a tenant."""
    access = getattr(request, "access", None)
    return {"frame": Frame(access)} if access is not None else {}
