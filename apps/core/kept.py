"""Answers that may be a few seconds old, kept so that many screens ask once."""

from collections.abc import Callable
from typing import TypeVar, cast

from django.core.cache import cache
from redis.exceptions import RedisError

T = TypeVar("T")


def kept(key: str, *, seconds: int, make: Callable[[], T]) -> T:
    """What ``make`` answered lately. Whoever calls puts into the key whoever may see it; without the cache it is made
    each time."""
    try:
        found = cache.get(key)
    except RedisError:
        return make()
    if found is not None:
        return cast(T, found)
    made = make()
    try:
        cache.set(key, made, timeout=seconds)
    except RedisError:
        return made
    return made
