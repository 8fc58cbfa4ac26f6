"""Subscriptions to topics. Upper apps subscribe in ``AppConfig.ready()``."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Event:
    """An outbox event as its handler sees it."""

    id: UUID
    tenant_id: UUID
    topic: str
    key: str
    payload: Mapping[str, Any]
    created_at: datetime


Handler = Callable[[Event], None]

_handlers: dict[str, Handler] = {}
_topics: dict[str, set[str]] = {}


def subscribe(topics: str | Iterable[str], *, name: str, handler: Handler) -> None:
    """Call ``handler`` once per event of these topics, inside the event's tenant.

    ``done_at`` is committed with the handler's own writes, so its database writes happen exactly once. It must
    not do network I/O.
    """
    if _handlers.setdefault(name, handler) is not handler:
        raise ValueError(f"Duplicate subscriber name: {name}.")
    for topic in [topics] if isinstance(topics, str) else topics:
        _topics.setdefault(topic, set()).add(name)


def subscribers_of(topic: str) -> list[str]:
    """Names of the subscribers of a topic, in a stable order."""
    return sorted(_topics.get(topic, ()))


def handler_of(name: str) -> Handler:
    """The handler registered under a name. Raises KeyError if its app was removed."""
    return _handlers[name]
