"""Calls to identity providers: limited in number and time, with a circuit breaker per provider.

A web process has few threads: a provider that hangs must not hold them all, and the sign-in page with them.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

from apps.accounts.errors import ProviderUnavailable
from apps.accounts.oidc.config import Provider

log = structlog.get_logger(__name__)

#: Threads of a process (``ispvm.deploy.gunicorn_group`` has four) that may wait for providers at once.
MAX_CALLS = 2
#: How long a callback waits for a free slot: without one the user would have to start over.
WAIT_SECONDS = 1.0
#: Limits for all calls of one step of a sign-in together, and for each call.
STEP_SECONDS = 8.0
CALL_SECONDS = 5.0
#: How long the breaker stays open after a failure; doubled after each further one.
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 300
FAILURES_TTL_SECONDS = 3600
BREAKER = "oidc-breaker"

_slots = threading.BoundedSemaphore(MAX_CALLS)
_waiting = threading.Lock()
_deadline: ContextVar[float | None] = ContextVar("provider_deadline", default=None)


@contextmanager
def provider_calls(provider: Provider, *, may_wait: bool = False) -> Iterator[None]:
    """Inside, the provider may be called. Raises ProviderUnavailable while its breaker is open or no slot is free.

    A ProviderUnavailable raised inside opens the breaker for all processes; success closes it.
    """
    _require_closed(provider)
    if not _acquire_slot(may_wait=may_wait):
        log.warning("identity_provider_calls_busy", provider=provider.slug)
        raise ProviderUnavailable(
            "provider_busy", "Too many sign-ins at once. Try again in a moment."
        )
    token = _deadline.set(time.monotonic() + STEP_SECONDS)
    try:
        yield
    except ProviderUnavailable:
        _record_failure(provider)
        raise
    except BaseException:
        # The outcome says nothing about the provider: let the next call probe it.
        with suppress(RedisError, OSError):
            cache.delete(f"{_breaker_key(provider)}:probe")
        raise
    else:
        _record_success(provider)
    finally:
        _deadline.reset(token)
        _slots.release()


def require_available(provider: Provider) -> None:
    """Raise ProviderUnavailable while the provider's breaker is open, before the browser is redirected there."""
    if _is_open(_breaker_key(provider)):
        raise _breaker_open()


def seconds_left() -> float:
    """Timeout of the next call. Raises ProviderUnavailable when the step's time is used up."""
    deadline = _deadline.get()
    if deadline is None:
        raise RuntimeError("Providers are called inside provider_calls only.")
    left = deadline - time.monotonic()
    if left <= 0:
        raise ProviderUnavailable(message="The identity provider did not respond in time.")
    return min(CALL_SECONDS, left)


def _acquire_slot(*, may_wait: bool) -> bool:
    if _slots.acquire(blocking=False):
        return True
    # At most one thread waits, so that the others can serve pages.
    if not may_wait or not _waiting.acquire(blocking=False):
        return False
    try:
        return _slots.acquire(timeout=WAIT_SECONDS)
    finally:
        _waiting.release()


@dataclass
class _LocalBreaker:
    """A provider's breaker in this process, used while Redis is unavailable."""

    failures: int = 0
    open_until: float = 0.0


_local: dict[str, _LocalBreaker] = {}
_local_lock = threading.Lock()


def _require_closed(provider: Provider) -> None:
    name = _breaker_key(provider)
    if _is_open(name):
        raise _breaker_open()
    is_probing = False
    with suppress(RedisError, OSError):
        # Half open: one call of all processes probes the provider.
        is_probing = bool(cache.get(f"{name}:failures")) and not cache.add(
            f"{name}:probe", 1, timeout=int(STEP_SECONDS) + 2
        )
    if is_probing:
        raise _breaker_open()


def _is_open(name: str) -> bool:
    try:
        return cache.get(f"{name}:open") is not None
    except (RedisError, OSError):
        with _local_lock:
            return time.monotonic() < _local.get(name, _LocalBreaker()).open_until


def _breaker_open() -> ProviderUnavailable:
    return ProviderUnavailable(
        "provider_paused",
        "The identity provider is not responding. Sign in another way, or try again in a few minutes.",
    )


def _record_failure(provider: Provider) -> None:
    name = _breaker_key(provider)
    try:
        cache.add(f"{name}:failures", 0, timeout=FAILURES_TTL_SECONDS)
        failures = cache.incr(f"{name}:failures")
        cache.set(f"{name}:open", 1, timeout=_pause(failures))
        cache.delete(f"{name}:probe")
    except (RedisError, OSError, ValueError):
        with _local_lock:
            local = _local.setdefault(name, _LocalBreaker())
            local.failures += 1
            failures = local.failures
            local.open_until = time.monotonic() + _pause(failures)
    log.warning("identity_provider_paused", provider=provider.slug, seconds=_pause(failures))


def _record_success(provider: Provider) -> None:
    name = _breaker_key(provider)
    with _local_lock:
        _local.pop(name, None)
    with suppress(RedisError, OSError):
        cache.delete_many([f"{name}:failures", f"{name}:open", f"{name}:probe"])


def _pause(failures: int) -> int:
    return int(min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), LONGEST_PAUSE_SECONDS))


def _breaker_key(provider: Provider) -> str:
    # By issuer: several clients of one provider share its breaker.
    return f"{BREAKER}:{sha256(provider.issuer.encode()).hexdigest()}"
