"""Maintenance windows of a generated ISP: one past, one active, one planned."""

from datetime import datetime, timedelta
from itertools import cycle
from typing import NamedTuple
from uuid import UUID

from apps.accounts.models import User
from apps.alerts.models import Alert
from apps.authorization.actors import Actor
from apps.inventory.device_entities import devices_of_entities
from apps.inventory.models import Device
from apps.lab.seed.network import Network
from apps.maintenance.services import plan_window


class Work(NamedTuple):
    """A window: title, reason, start relative to the time of the seed, duration."""

    title: str
    reason: str
    begins: timedelta
    lasts: timedelta
    #: A single device of the site, not all of it.
    is_on_device: bool = False


WORKS = (
    Work("RouterOS update", "7.16 mends a leak in BGP", timedelta(hours=-26), timedelta(hours=2)),
    Work("Battery swap", "The old ones last 20 min", timedelta(minutes=-35), timedelta(hours=2)),
    Work(
        "New power supply",
        "Agreed with the tower's owner",
        timedelta(hours=17),
        timedelta(hours=1),
        is_on_device=True,
    ),
)


def write_windows(network: Network, users: list[User], *, at: datetime) -> None:
    """Each at a PoP without active alerts. Call it inside the tenant."""
    affected = _sites_with_alerts()
    unaffected = [row for row in network.sites if row.number and row.id not in affected]
    for number, (work, site) in enumerate(zip(WORKS, cycle(reversed(unaffected)), strict=False)):
        device = next(row for row in network.devices if row.site.id == site.id)
        plan_window(
            title=work.title,
            reason=work.reason,
            starts_at=at + work.begins,
            ends_at=at + work.begins + work.lasts,
            site_ids=() if work.is_on_device else [site.id],
            device_ids=[device.id] if work.is_on_device else (),
            actor=_actor(users[number % len(users)]),
            at=min(at, at + work.begins) - timedelta(hours=3),
        )


def _sites_with_alerts() -> set[UUID]:
    wrong = Alert.objects.exclude(state="ok").values_list("entity_id", flat=True)
    devices = Device.objects.filter(pk__in=devices_of_entities(list(wrong)).values())
    return {*wrong, *devices.values_list("site", flat=True)}


def _actor(user: User) -> Actor:
    return Actor("user", str(user.id), user.label)
