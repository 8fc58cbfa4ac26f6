"""A device that moves to another site: apps above inventory that derive something from sites hear of it in time."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

_listeners: list[Callable[[UUID, UUID, datetime], None]] = []


def on_device_move(listener: Callable[[UUID, UUID, datetime], None]) -> None:
    """Have ``listener`` called with device, former site and time, inside the transaction of the change."""
    _listeners.append(listener)


def device_moved(device_id: UUID, former_site_id: UUID, at: datetime) -> None:
    """Tell all listeners."""
    for listener in _listeners:
        listener(device_id, former_site_id, at)
