"""Factories of inventory rows, created through the services."""

from datetime import UTC, datetime

from apps.authorization.actors import Actor
from apps.inventory import services
from apps.inventory.models import Device, Link, Site

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACTOR = Actor.system("test")


def make_site(name: str = "hub", **fields) -> Site:
    return services.create_site(name=name, actor=ACTOR, at=AT, **fields)


def make_device(name: str = "cr1", *, site: Site | None = None, **fields) -> Device:
    fields = {"role": "core", "management_address": "127.20.0.1", **fields}
    return services.create_device(
        name=name,
        site=site or Site.objects.first() or make_site(),
        actor=ACTOR,
        at=AT,
        **fields,
    )


def make_link(a: Device, z: Device | None, name: str = "", **fields) -> Link:
    fields = {"kind": "ring", "a_interface_name": f"to-{z.name if z else 'upstream'}", **fields}
    if z is not None:
        fields.setdefault("z_interface_name", f"to-{a.name}")
    return services.create_link(
        name=name or f"{a.name}-{z.name if z else 'upstream'}",
        a_device=a,
        z_device=z,
        actor=ACTOR,
        at=AT,
        **fields,
    )
