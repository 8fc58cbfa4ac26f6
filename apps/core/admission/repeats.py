"""Refused requests that are repeated before their ``Retry-After``.

They are refused again without authentication, transaction or query: otherwise the refusals of a client in a tight
loop would cost more than the requests it is allowed.
"""

import threading
import time
from collections import OrderedDict
from hashlib import sha256

from django.conf import settings
from django.http import HttpRequest

from apps.core.buckets import RateExceeded

MAX_SECONDS = 5
MAX_CALLERS = 2_000


class RecentRefusals:
    """Recent refusals by credential and request. One instance per process."""

    def __init__(self) -> None:
        self._refusals: OrderedDict[bytes, tuple[float, RateExceeded]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, request: HttpRequest, refusal: RateExceeded) -> None:
        """Store a refusal until its ``Retry-After``, at most ``MAX_SECONDS``."""
        until = time.monotonic() + min(refusal.retry_after, MAX_SECONDS)
        with self._lock:
            self._refusals[_key(request)] = (until, refusal)
            while len(self._refusals) > MAX_CALLERS:
                self._refusals.popitem(last=False)

    def find(self, request: HttpRequest) -> RateExceeded | None:
        """The stored refusal of the same request by the same caller, if it has not expired."""
        with self._lock:
            until, refusal = self._refusals.get(_key(request), (0.0, None))
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
