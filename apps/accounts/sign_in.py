"""Checking a password: limited per address and name, failures audited."""

from datetime import datetime
from hashlib import sha256

import structlog
from django.contrib import auth
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from apps.accounts.actors import Actor
from apps.accounts.errors import SignInRefused, TooManyAttempts
from apps.accounts.models import User
from apps.audit.services import record_platform

log = structlog.get_logger(__name__)

ATTEMPTS = 10
WINDOW_SECONDS = 300


def authenticate(
    request: HttpRequest, *, email: str, password: str, address: str, at: datetime
) -> User:
    """The person behind these words. Raises SignInRefused, TooManyAttempts.

    The limit is per (name, address): wrong passwords sent from elsewhere cannot lock a named operator out.
    """
    if _attempts(email, address) > ATTEMPTS:
        raise TooManyAttempts
    user = auth.authenticate(request, username=email, password=password)
    if user is None:
        record_platform(
            action="sign_in.failed",
            actor=Actor("user", "", email[:200]),
            entity=("user", email[:100]),
            at=at,
            detail={"address": address},
        )
        raise SignInRefused
    return user


def _attempts(email: str, address: str) -> int:
    """How many attempts this window has seen, this one counted.

    When Redis is away sign-in stays open: the slow password hash bounds it, and the log says so.
    """
    key = "sign-in:" + sha256(f"{email.lower()}|{address}".encode()).hexdigest()
    try:
        cache.add(key, 0, timeout=WINDOW_SECONDS)
        return cache.incr(key)
    except ValueError:  # the window ended between the two calls
        return 1
    except (RedisError, OSError):
        log.warning("sign_in_limit_unavailable")
        return 1
