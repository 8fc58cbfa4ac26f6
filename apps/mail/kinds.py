"""Kinds of mail: what an app registers so that the worker can write its messages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.mail.models import Message


@dataclass(frozen=True)
class Letter:
    """A message as it is sent."""

    to: str
    subject: str
    text: str
    html: str


#: Writes the message, in the language that is active; None when there is nothing to say any more.
Compose = Callable[["Message", datetime], Letter | None]
#: Called with the message after its state is final.
Settled = Callable[["Message"], None]


@dataclass(frozen=True)
class Kind:
    name: str
    compose: Compose
    settled: Settled | None = None


_kinds: dict[str, Kind] = {}


def register(name: str, compose: Compose, *, settled: Settled | None = None) -> None:
    """Declare a kind of mail. Called once per kind, when apps start."""
    _kinds[name] = Kind(name, compose, settled)


def kind_of(name: str) -> Kind | None:
    return _kinds.get(name)
