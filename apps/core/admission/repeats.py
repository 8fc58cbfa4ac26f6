"""Callers that send a refused request again before its ``Retry-After`` is over.

Their requests are refused as before, without signing in, a transaction or a query: a client in a tight loop would
otherwise use more of the process by its refusals than by what it is given.
"""

import threading
import time
from collections import OrderedDict
from hashlib import sha256

from django.conf import settings
from django.http import HttpRequest

from apps.core.buckets import RateExceeded

MOST_SECONDS = 5
MOST_CALLERS = 2_000


class RecentRefusals:
    """By credential and request. One instance per process; nothing here grants or identifies anything."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, tuple[float, RateExceeded]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, request: HttpRequest, refusal: RateExceeded) -> None:
        """Remember a refusal for as long as its caller should wait, at most some seconds."""
        until = time.monotonic() + min(refusal.retry_after, MOST_SECONDS)
        with self._lock:
            self._found[_key(request)] = (until, refusal)
            while len(self._found) > MOST_CALLERS:
                self._found.popitem(last=False)

    def find(self, request: HttpRequest) -> RateExceeded | None:
        """The refusal of the same request by the same caller, if it still holds."""
        with self._lock:
            until, refusal = self._found.get(_key(request), (0.0, None))
        return refusal if time.monotonic() < until else None


def _key(request: HttpRequest) -> bytes:
    parts = (
        request.headers.get("Authorization", ""),
        request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
        request.headers.get("X-ISPVM-Tenant", ""),
        request.method or "",
        request.get_full_path(),
    )
    return sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest()
