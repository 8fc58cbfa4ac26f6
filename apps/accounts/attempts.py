"""How often a sign-in may be tried: counted per name, per address and per browser, so that guessing ends and nobody
named is locked out. The rule and its figures are in docs/operator-handbook/security.md.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from apps.accounts import known_browsers
from apps.accounts.errors import TooManyAttempts

log = structlog.get_logger(__name__)

#: Of one holder of an IPv6 network, all addresses count as one; whoever sprays can use a whole site's prefix.
IPV6_PREFIX = 64
IPV6_SITE_PREFIX = 48
MAX_LOCAL_COUNTS = 10_000
COUNTER = "sign-in"


@dataclass(frozen=True)
class Limit:
    """So many attempts in each window of so many seconds."""

    count: int
    seconds: int


ATTEMPTS = 10
WINDOW_SECONDS = 300
HOUR = 3600
PER_NAME_AND_NETWORK = Limit(ATTEMPTS, WINDOW_SECONDS)
#: So that one network cannot use up what a name has for all unknown networks.
PER_NAME_AND_NETWORK_HOURLY = Limit(20, HOUR)
#: Different names that failed from one network: one password for many names.
NAMES_PER_NETWORK = Limit(10, HOUR)
FAILURES_PER_NETWORK = Limit(60, HOUR)
#: A name's failures from all networks and browsers in which the person never signed in.
PER_NAME = Limit(100, HOUR)
PER_BROWSER = Limit(ATTEMPTS, WINDOW_SECONDS)
#: All known browsers of a person together: more cookies are not more guesses.
PER_NAME_KNOWN = Limit(50, HOUR)
#: Whoever guesses codes has the password already.
CODES_PER_NAME = Limit(30, HOUR)
#: Where nobody is named (passkeys, identity providers) all of an office may come from one address.
NAMELESS = Limit(100, WINDOW_SECONDS)


class Door(StrEnum):
    """What is tried; each is counted for itself."""

    PASSWORD = "password"  # noqa: S105  (the name of a kind)
    CODE = "code"
    PASSKEY = "passkey"
    PROVIDER = "provider"
    INVITATION = "invitation"
    CONFIRM = "confirm"
    SETUP = "setup"
    RESET = "reset"


@dataclass
class Attempt:
    """One counted attempt; ``succeed`` takes it off the counts that are of failures."""

    _refunds: list[Callable[[], None]] = field(default_factory=list)

    def succeed(self) -> None:
        """The attempt was no failure."""
        for refund in self._refunds:
            refund()
        self._refunds.clear()


@dataclass(frozen=True)
class _Caller:
    door: Door
    name: str
    network: str
    site: str
    #: The known browser's person, and the browser; empty for unknown browsers.
    person: str
    browser: str
    at: datetime


def require_attempt(request: HttpRequest, door: Door, *, at: datetime, email: str = "") -> Attempt:
    """Count one attempt of this caller. Raises TooManyAttempts beyond a limit.

    The narrowest count comes first and the name's count for unknown networks last: what is refused before it never
    uses it up.
    """
    address, name = caller_address(request), email.lower()
    known = known_browsers.known_browser(request, email=email, at=at)
    caller = _Caller(
        door=door,
        name=name,
        network=network_of(address),
        site=network_of(address, IPV6_SITE_PREFIX),
        person=str(known.user_id) if known else "",
        browser=str(known.pk) if known else "",
        at=at,
    )
    attempt = Attempt()
    if not name:
        _require(caller, "nameless", caller.person or caller.network, NAMELESS)
    elif door is Door.PASSWORD:
        _require_password(caller, attempt, email)
    elif caller.browser:
        _require(caller, "browser", caller.browser, PER_BROWSER)
        _require(caller, "name-known", name, CODES_PER_NAME, attempt)
    else:
        _require(caller, "name-network", f"{name}|{caller.network}", PER_NAME_AND_NETWORK)
        _require(caller, "name", name, CODES_PER_NAME, attempt)
    return attempt


def _require_password(caller: _Caller, attempt: Attempt, email: str) -> None:
    name = caller.name
    if caller.browser:
        _require(caller, "browser", caller.browser, PER_BROWSER)
        _require(caller, "name-known", name, PER_NAME_KNOWN, attempt)
        return
    place = f"{name}|{caller.network}"
    _require(caller, "name-network", place, PER_NAME_AND_NETWORK)
    _require(caller, "name-network-hour", place, PER_NAME_AND_NETWORK_HOURLY, attempt)
    _require(caller, "network", caller.site, FAILURES_PER_NETWORK, attempt)
    _require_few_names(caller, attempt)
    if not _is_within(caller, "name", name, PER_NAME, attempt) and not known_browsers.has_used(
        email=email, network=caller.network, at=caller.at
    ):
        log.warning("sign_in_name_limited", network=caller.network)
        raise TooManyAttempts


def _require_few_names(caller: _Caller, attempt: Attempt) -> None:
    """Names that failed before are heard on: only a further one may be one too many."""
    key = _key(caller, "seen", f"{caller.name}|{caller.site}", NAMES_PER_NETWORK)
    is_new = _count(key, NAMES_PER_NETWORK) == 1
    if is_new and not _is_within(caller, "names", caller.site, NAMES_PER_NETWORK, None):
        _reset(key)
        log.warning("sign_in_spraying_limited", network=caller.site)
        raise TooManyAttempts
    attempt._refunds.append(lambda: _forget_name(caller, key))  # noqa: SLF001  (this module's)


def _forget_name(caller: _Caller, key: str) -> None:
    # Once, however many sign-ins of one name succeed at the same time: else they would make room for other names.
    if _reset(key):
        _give_back(_key(caller, "names", caller.site, NAMES_PER_NETWORK))


def _require(
    caller: _Caller, what: str, subject: str, limit: Limit, attempt: Attempt | None = None
) -> None:
    if not _is_within(caller, what, subject, limit, attempt):
        raise TooManyAttempts


def _is_within(
    caller: _Caller, what: str, subject: str, limit: Limit, attempt: Attempt | None
) -> bool:
    key = _key(caller, what, subject, limit)
    if attempt is not None:
        attempt._refunds.append(lambda: _give_back(key))  # noqa: SLF001  (this module's)
    return _count(key, limit) <= limit.count


def _key(caller: _Caller, what: str, subject: str, limit: Limit) -> str:
    # The window is part of the key: a count never outlives it.
    window = int(caller.at.timestamp()) // limit.seconds
    return f"{COUNTER}:{caller.door}:{what}:{window}:{sha256(subject.encode()).hexdigest()}"


# When Redis is away each process counts for itself.
_local: dict[str, int] = {}
_local_lock = threading.Lock()


def _count(key: str, limit: Limit) -> int:
    try:
        cache.add(key, 0, timeout=limit.seconds * 2)
        return cache.incr(key)
    except (RedisError, OSError, ValueError):
        log.warning("sign_in_limit_per_process")
        with _local_lock:
            while len(_local) >= MAX_LOCAL_COUNTS:
                _local.pop(next(iter(_local)))
            _local[key] = _local.get(key, 0) + 1
            return _local[key]


def _give_back(key: str) -> None:
    with _local_lock:
        if _local.get(key):
            _local[key] -= 1
            return
    with suppress(RedisError, OSError, ValueError):
        cache.decr(key)


def _reset(key: str) -> bool:
    """Forget a count; whether there was one."""
    with _local_lock:
        was_here = _local.pop(key, None) is not None
    try:
        return bool(cache.delete(key)) or was_here
    except (RedisError, OSError):
        return was_here


def caller_address(request: HttpRequest) -> str:
    """Where the request comes from. ``X-Forwarded-For`` is read only as far as trusted proxies wrote it."""
    address = request.META.get("REMOTE_ADDR", "")
    if not settings.ISPVM_TRUSTED_PROXIES:
        return str(address)
    passed = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    for part in reversed([p for p in passed if p]):
        if not _is_trusted(address):
            break
        if not _is_address(part):
            break
        address = part
    return str(address)


def network_of(address: str, ipv6_prefix: int = IPV6_PREFIX) -> str:
    """What counts as one place: an IPv4 address, or an IPv6 network."""
    if not _is_address(address):
        return address
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, ipv6_prefix), strict=False))
    return address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(address: str) -> bool:
    return _is_address(address) and any(
        ip_address(address) in network for network in settings.ISPVM_TRUSTED_PROXIES
    )
