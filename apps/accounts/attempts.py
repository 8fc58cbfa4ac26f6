"""Rate limits for sign-in attempts, per name, network and browser: guessing is stopped without locking out the owner of
a name. Rules and limits: docs/operator-handbook/security.md.
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

#: All addresses of an IPv6 /64 count as one. Password spraying is counted per /48, the usual prefix of one site.
IPV6_PREFIX = 64
IPV6_SITE_PREFIX = 48
MAX_LOCAL_COUNTS = 10_000
KEY_PREFIX = "sign-in"


@dataclass(frozen=True)
class Limit:
    """At most ``count`` attempts per window of ``seconds``."""

    count: int
    seconds: int


ATTEMPTS = 10
WINDOW_SECONDS = 300
HOUR = 3600
PER_NAME_AND_NETWORK = Limit(ATTEMPTS, WINDOW_SECONDS)
#: Keeps one network from using up PER_NAME, which all networks share.
PER_NAME_AND_NETWORK_HOURLY = Limit(20, HOUR)
#: Different names that failed from one network: password spraying.
NAMES_PER_NETWORK = Limit(10, HOUR)
FAILURES_PER_NETWORK = Limit(60, HOUR)
#: A name's failures from all networks and unknown browsers together.
PER_NAME = Limit(100, HOUR)
PER_BROWSER = Limit(ATTEMPTS, WINDOW_SECONDS)
#: All known browsers of a user together, so that more cookies do not give more attempts.
PER_NAME_KNOWN = Limit(50, HOUR)
#: Lower than PER_NAME: whoever guesses codes has the password already.
CODES_PER_NAME = Limit(30, HOUR)
#: Attempts without a name (passkeys, identity providers). A whole office may share one address.
ANONYMOUS = Limit(100, WINDOW_SECONDS)


class AttemptKind(StrEnum):
    """What is attempted; each kind has its own counters."""

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
    """One counted attempt; ``succeed`` removes it from the counters of failures."""

    _refunds: list[Callable[[], None]] = field(default_factory=list)

    def succeed(self) -> None:
        """Do not count this attempt as a failure."""
        for refund in self._refunds:
            refund()
        self._refunds.clear()


@dataclass(frozen=True)
class _Caller:
    kind: AttemptKind
    name: str
    network: str
    site: str
    #: Ids of the known browser and its user; empty for unknown browsers.
    user_id: str
    browser: str
    at: datetime


def require_attempt(
    request: HttpRequest, kind: AttemptKind, *, at: datetime, email: str = ""
) -> Attempt:
    """Count one attempt of this caller. Raises TooManyAttempts beyond a limit.

    The narrowest counter comes first and the name's counter for unknown networks last, so that attempts refused by a
    narrow limit do not use up the wide one.
    """
    address, name = caller_address(request), email.lower()
    known = known_browsers.known_browser(request, email=email, at=at)
    caller = _Caller(
        kind=kind,
        name=name,
        network=network_of(address),
        site=network_of(address, IPV6_SITE_PREFIX),
        user_id=str(known.user_id) if known else "",
        browser=str(known.pk) if known else "",
        at=at,
    )
    attempt = Attempt()
    if not name:
        _require(caller, "anonymous", caller.user_id or caller.network, ANONYMOUS)
    elif kind is AttemptKind.PASSWORD:
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
    subject = f"{name}|{caller.network}"
    _require(caller, "name-network", subject, PER_NAME_AND_NETWORK)
    _require(caller, "name-network-hour", subject, PER_NAME_AND_NETWORK_HOURLY, attempt)
    _require(caller, "network", caller.site, FAILURES_PER_NETWORK, attempt)
    _require_few_names(caller, attempt)
    if not _is_within(
        caller, "name", name, PER_NAME, attempt
    ) and not known_browsers.has_signed_in_from(email=email, network=caller.network, at=caller.at):
        log.warning("sign_in_name_limited", network=caller.network)
        raise TooManyAttempts


def _require_few_names(caller: _Caller, attempt: Attempt) -> None:
    """Limit the different names per network; a name that already failed from there is not counted again."""
    key = _key(caller, "name-failed", f"{caller.name}|{caller.site}", NAMES_PER_NETWORK)
    is_new = _count(key, NAMES_PER_NETWORK) == 1
    if is_new and not _is_within(caller, "names", caller.site, NAMES_PER_NETWORK, None):
        _delete(key)
        log.warning("sign_in_spraying_limited", network=caller.site)
        raise TooManyAttempts
    attempt._refunds.append(lambda: _forget_name(caller, key))  # noqa: SLF001  (this module's)


def _forget_name(caller: _Caller, key: str) -> None:
    # Only once, however many sign-ins of one name succeed at the same time: else other names would gain attempts.
    if _delete(key):
        _decrement(_key(caller, "names", caller.site, NAMES_PER_NETWORK))


def _require(
    caller: _Caller, counter: str, subject: str, limit: Limit, attempt: Attempt | None = None
) -> None:
    if not _is_within(caller, counter, subject, limit, attempt):
        raise TooManyAttempts


def _is_within(
    caller: _Caller, counter: str, subject: str, limit: Limit, attempt: Attempt | None
) -> bool:
    key = _key(caller, counter, subject, limit)
    if attempt is not None:
        attempt._refunds.append(lambda: _decrement(key))  # noqa: SLF001  (this module's)
    return _count(key, limit) <= limit.count


def _key(caller: _Caller, counter: str, subject: str, limit: Limit) -> str:
    # The window is part of the key, so a counter never outlives it.
    window = int(caller.at.timestamp()) // limit.seconds
    return f"{KEY_PREFIX}:{caller.kind}:{counter}:{window}:{sha256(subject.encode()).hexdigest()}"


# Without Redis each process counts for itself.
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


def _decrement(key: str) -> None:
    with _local_lock:
        if _local.get(key):
            _local[key] -= 1
            return
    with suppress(RedisError, OSError, ValueError):
        cache.decr(key)


def _delete(key: str) -> bool:
    """Delete a counter; returns whether it existed."""
    with _local_lock:
        existed_locally = _local.pop(key, None) is not None
    try:
        return bool(cache.delete(key)) or existed_locally
    except (RedisError, OSError):
        return existed_locally


def caller_address(request: HttpRequest) -> str:
    """The client address. ``X-Forwarded-For`` is read only as far as trusted proxies wrote it."""
    address = request.META.get("REMOTE_ADDR", "")
    if not settings.ISPVM_TRUSTED_PROXIES:
        return str(address)
    hops = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    for hop in reversed([h for h in hops if h]):
        if not _is_trusted(address):
            break
        if not _is_address(hop):
            break
        address = hop
    return str(address)


def network_of(address: str, ipv6_prefix: int = IPV6_PREFIX) -> str:
    """The network that attempts are counted by: an IPv4 address, or an IPv6 prefix."""
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
