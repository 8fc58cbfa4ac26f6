"""Who listens to which topic. Upper apps subscribe in ``AppConfig.ready()``."""

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

    The mark that it was done commits with the handler's own writes, so its effects on the database
    happen exactly once; it must do no network I/O.
    """
    if _handlers.setdefault(name, handler) is not handler:
        raise ValueError(f"Two subscribers are called {name}.")
    for topic in [topics] if isinstance(topics, str) else topics:
        _topics.setdefault(topic, set()).add(name)


def subscribers_of(topic: str) -> list[str]:
    """Names of the subscribers of a topic, in a stable order."""
    return sorted(_topics.get(topic, ()))


def handler_of(name: str) -> Handler:
    """The handler registered under a name; KeyError when its app is gone."""
    return _handlers[name]
