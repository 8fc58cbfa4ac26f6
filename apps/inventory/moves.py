"""Notification of a device's move to another site, for apps above inventory that derive data from sites."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

_listeners: list[Callable[[UUID, UUID, datetime], None]] = []


def on_device_move(listener: Callable[[UUID, UUID, datetime], None]) -> None:
    """Register a callable(device id, former site id, time), called inside the transaction of the change."""
    _listeners.append(listener)


def notify_device_move(device_id: UUID, former_site_id: UUID, at: datetime) -> None:
    """Call all listeners."""
    for listener in _listeners:
        listener(device_id, former_site_id, at)
