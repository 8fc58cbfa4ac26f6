from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.authorization.actors import Actor
from apps.inventory.models import Site
from apps.inventory.services.base import delete_row, save_changes, save_new


def create_site(
    *,
    name: str,
    code: str = "",
    latitude: float | None = None,
    longitude: float | None = None,
    actor: Actor,
    at: datetime,
) -> Site:
    """Create a site. Raises NameTaken (name or code), ValidationError."""
    site = Site(name=name, code=code, latitude=latitude, longitude=longitude)
    save_new(site, actor=actor, at=at)
    return site


def update_site(*, site: Site, changes: Mapping[str, Any], actor: Actor, at: datetime) -> Site:
    """Change a site. Raises NameTaken, ValidationError."""
    save_changes(site, changes, actor=actor, at=at)
    return site


def delete_site(*, site: Site, actor: Actor, at: datetime) -> None:
    """Delete a site without devices. Raises InUse."""
    delete_row(site, actor=actor, at=at)
