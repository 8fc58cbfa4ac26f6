"""Signing in: first factor, second factor if the user has one, then the session. Rate-limited and audited."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import auth
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from apps.accounts import second_factor, sessions
from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import SignInRefused
from apps.accounts.factor_policy import store_factors
from apps.accounts.known_browsers import known_account
from apps.accounts.models import User
from apps.accounts.oidc.provider_sessions import store_provider
from apps.accounts.session_tenant import bind_session
from apps.accounts.users import account_name
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.authorization.freshness import record_authentication

PENDING = "sign_in_pending"
PENDING_LIFETIME = timedelta(minutes=10)


def authenticate(request: HttpRequest, *, email: str, password: str, at: datetime) -> User:
    """Check name and password. Raises SignInRefused, TooManyAttempts.

    Limits are per name, address and browser: wrong passwords sent by others do not lock the user out.
    """
    email = account_name(email, known_name=known_account(request, address=email, at=at))
    attempt = require_attempt(request, AttemptKind.PASSWORD, email=email, at=at)
    user = auth.authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        record_failure(request, email=email, method="password", at=at)
        raise SignInRefused
    attempt.succeed()
    return user


def begin(request: HttpRequest, user: User, *, method: str, next_url: str, at: datetime) -> bool:
    """Open the session, or, if the user has a second factor, remember that it is still required.

    Returns whether the session is open.
    """
    if not second_factor.is_required(user):
        complete(request, user, methods=[method], at=at)
        return True
    request.session[PENDING] = {
        "user": str(user.id),
        # A changed password ends a pending sign-in.
        "hash": user.get_session_auth_hash(),
        "method": method,
        "next": next_url,
        "at": at.timestamp(),
    }
    return False


def pending(request: HttpRequest, *, at: datetime) -> tuple[User, Mapping[str, Any]]:
    """The user whose second factor is required, and the pending sign-in. Raises SignInRefused if there is none."""
    state = request.session.get(PENDING)
    if not state or not 0 <= at.timestamp() - state["at"] <= PENDING_LIFETIME.total_seconds():
        request.session.pop(PENDING, None)
        raise SignInRefused
    user = User.objects.filter(pk=UUID(state["user"]), is_active=True).first()
    if user is None or not constant_time_compare(state["hash"], user.get_session_auth_hash()):
        request.session.pop(PENDING, None)
        raise SignInRefused
    return user, state


def complete(request: HttpRequest, user: User, *, methods: list[str], at: datetime) -> None:
    """Open the session under a new key, and list it. Raises SignInRefused for a deactivated user."""
    if not user.is_active:
        raise SignInRefused
    request.session.pop(PENDING, None)
    was_signed_in = auth.SESSION_KEY in request.session
    auth.login(request, user)
    if was_signed_in:
        # Django keeps the session key when the same user signs in again.
        request.session.cycle_key()
    record_authentication(request.session, at)
    proofs = [proof for method in methods for proof in method.split("+")]
    store_provider(request.session, proofs)
    store_factors(request.session, user, proofs)
    bind_session(request.session, user)
    sessions.open_session(request, user, method="+".join(methods), at=at)
    record_platform(
        action="sign_in.succeeded",
        actor=Actor("user", str(user.id), user.label),
        entity=("user", user.id),
        at=at,
        detail={"methods": methods, "address": sessions.address_of(request)},
    )


def record_failure(request: HttpRequest, *, email: str, method: str, at: datetime) -> None:
    """Record a failed attempt in the platform's audit log.

    Unknown names are not stored: people type their password into the name field.
    """
    name = email if User.objects.filter(email__iexact=email).exists() else "?"
    record_platform(
        action="sign_in.failed",
        actor=Actor("user", "", name[:200]),
        entity=("user", name[:100]),
        at=at,
        detail={"address": sessions.address_of(request), "method": method},
    )
