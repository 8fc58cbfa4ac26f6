"""Results that may be a few seconds old, cached in this process so that many open pages cost one query."""

from collections.abc import Callable
from typing import TypeVar, cast

from django.core.cache import caches

T = TypeVar("T")


def cached(key: str, *, seconds: int, compute: Callable[[], T]) -> T:
    """The cached result, else what ``compute`` returns. The key must name everything that decides what is visible."""
    cache = caches["local"]
    value = cache.get(key)
    if value is not None:
        return cast(T, value)
    value = compute()
    cache.set(key, value, timeout=seconds)
    return value
