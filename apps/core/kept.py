"""Answers that may be a few seconds old, kept in this process so that many screens ask once."""

from collections.abc import Callable
from typing import TypeVar, cast

from django.core.cache import caches

T = TypeVar("T")


def kept(key: str, *, seconds: int, make: Callable[[], T]) -> T:
    """What ``make`` answered lately here. Whoever calls puts into the key whoever may see it."""
    here = caches["here"]
    found = here.get(key)
    if found is not None:
        return cast(T, found)
    made = make()
    here.set(key, made, timeout=seconds)
    return made
