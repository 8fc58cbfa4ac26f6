"""Kinds of mail: apps register how the worker composes their messages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.mail.models import Message


@dataclass(frozen=True)
class MailContent:
    """The content of a message."""

    to: str
    subject: str
    text: str
    html: str


#: Composes the message in the active language; None if it is no longer needed.
Compose = Callable[["Message", datetime], MailContent | None]
#: Called with the message after its state is final.
OnFinished = Callable[["Message"], None]


@dataclass(frozen=True)
class Kind:
    name: str
    compose: Compose
    on_finished: OnFinished | None = None


_kinds: dict[str, Kind] = {}


def register(name: str, compose: Compose, *, on_finished: OnFinished | None = None) -> None:
    """Register a kind of mail. Called once per kind, when apps start."""
    _kinds[name] = Kind(name, compose, on_finished)


def kind_of(name: str) -> Kind | None:
    return _kinds.get(name)
