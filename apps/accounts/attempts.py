"""How often a sign-in was tried: counted where it was tried from, so that nobody else is locked out."""

import threading
from datetime import datetime
from enum import StrEnum
from functools import partial
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from secrets import token_hex

import structlog
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from apps.accounts.errors import TooManyAttempts

log = structlog.get_logger(__name__)

ATTEMPTS = 10
#: Whoever guesses codes has the password already: their guesses from everywhere count together.
EVERYWHERE = 30
#: Where nobody is named (passkeys, identity providers) all of an office may come from one address.
NAMELESS = 100
WINDOW_SECONDS = 300
DEVICE_COOKIE = "ispvm_known"
DEVICE_DAYS = 180
_SALT = "accounts.known-device"
#: Of one holder of an IPv6 network, all addresses count as one.
IPV6_PREFIX = 64
MOST_COUNTED_HERE = 10_000
COUNTER = "sign-in"

_here: dict[str, int] = {}
_here_lock = threading.Lock()


class Door(StrEnum):
    """What is tried; each is counted for itself."""

    PASSWORD = "password"  # noqa: S105  (the name of a door)
    CODE = "code"
    CODE_EVERYWHERE = "code-everywhere"
    PASSKEY = "passkey"
    PROVIDER = "provider"
    INVITATION = "invitation"
    CONFIRM = "confirm"


LIMITS = {
    Door.PASSWORD: ATTEMPTS,
    Door.CODE: ATTEMPTS,
    Door.CODE_EVERYWHERE: EVERYWHERE,
    Door.PASSKEY: NAMELESS,
    Door.PROVIDER: NAMELESS,
    Door.INVITATION: NAMELESS,
    Door.CONFIRM: ATTEMPTS,
}


def require_attempt(request: HttpRequest, door: Door, *, at: datetime, email: str = "") -> None:
    """Count one attempt of this caller. Raises TooManyAttempts beyond the door's limit."""
    address = caller_address(request)
    device = request.COOKIES.get(DEVICE_COOKIE, "")
    count = partial(count_attempt, email=email, device=device, at=at)
    if count(address=address, door=door) > LIMITS[door]:
        raise TooManyAttempts
    if door is Door.CODE and count(address="", door=Door.CODE_EVERYWHERE) > EVERYWHERE:
        raise TooManyAttempts


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


def known_device(email: str) -> str:
    """A cookie's value for a browser in which this person signed in."""
    return signing.dumps([_digest(email.lower()), token_hex(16)], salt=_SALT)


def count_attempt(
    *, email: str, address: str, device: str, at: datetime, door: Door = Door.PASSWORD
) -> int:
    """How many attempts this window has seen from there with this name, this one counted.

    A browser in which this person signed in before has a count of its own: wrong passwords sent by others, even from
    the same address, do not touch it. The window is part of the key: a count never outlives it. When Redis is away
    each process counts for itself.
    """
    window = int(at.timestamp()) // WINDOW_SECONDS
    place = _device_of(email, device) or f"{email.lower()}|{_network(address)}"
    key = f"{COUNTER}:{door}:{window}:{_digest(place)}"
    try:
        cache.add(key, 0, timeout=WINDOW_SECONDS * 2)
        return cache.incr(key)
    except (RedisError, OSError, ValueError):
        log.warning("sign_in_limit_counts_per_process")
        return _count_here(key)


def _count_here(key: str) -> int:
    with _here_lock:
        if len(_here) >= MOST_COUNTED_HERE:
            _here.clear()
        _here[key] = _here.get(key, 0) + 1
        return _here[key]


def _device_of(email: str, device: str) -> str:
    try:
        whose, identity = signing.loads(device, salt=_SALT, max_age=DEVICE_DAYS * 86_400)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    # Where nobody is named, a browser in which anybody signed in is known.
    return f"device|{identity}" if not email or whose == _digest(email.lower()) else ""


def _network(address: str) -> str:
    if not _is_address(address):
        return address
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
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


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
