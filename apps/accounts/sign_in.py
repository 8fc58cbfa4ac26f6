"""From a first proof to an open session: limited by where it is tried, second factors asked, all of it audited."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import auth
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from apps.accounts import second_factor, sessions
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import SignInRefused
from apps.accounts.factor_policy import note_factors
from apps.accounts.known_browsers import known_account
from apps.accounts.models import User
from apps.accounts.oidc.provider_sessions import note_provider
from apps.accounts.people import account_name
from apps.accounts.session_tenant import bind_session
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.authorization.freshness import note_proof

PENDING = "sign_in_pending"
PENDING_FOR = timedelta(minutes=10)


def authenticate(request: HttpRequest, *, email: str, password: str, at: datetime) -> User:
    """The person behind these words. Raises SignInRefused, TooManyAttempts.

    The limits are per name, address and browser: wrong passwords sent by others lock no named operator out.
    """
    email = account_name(email, known=known_account(request, address=email, at=at))
    attempt = require_attempt(request, Door.PASSWORD, email=email, at=at)
    user = auth.authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        note_failure(request, email=email, method="password", at=at)
        raise SignInRefused
    attempt.succeed()
    return user


def begin(request: HttpRequest, user: User, *, method: str, next_url: str, at: datetime) -> bool:
    """Open the session, or, if the person has a second factor, remember that it is still owed.

    Returns whether the session is open.
    """
    if not second_factor.is_owed(user):
        complete(request, user, methods=[method], at=at)
        return True
    request.session[PENDING] = {
        "user": str(user.id),
        # So that a changed password ends what the old one began.
        "hash": user.get_session_auth_hash(),
        "method": method,
        "next": next_url,
        "at": at.timestamp(),
    }
    return False


def pending(request: HttpRequest, *, at: datetime) -> tuple[User, Mapping[str, Any]]:
    """Whose second factor is owed, and what they began with. Raises SignInRefused when nobody's is."""
    begun = request.session.get(PENDING)
    if not begun or not 0 <= at.timestamp() - begun["at"] <= PENDING_FOR.total_seconds():
        request.session.pop(PENDING, None)
        raise SignInRefused
    user = User.objects.filter(pk=UUID(begun["user"]), is_active=True).first()
    if user is None or not constant_time_compare(begun["hash"], user.get_session_auth_hash()):
        request.session.pop(PENDING, None)
        raise SignInRefused
    return user, begun


def complete(request: HttpRequest, user: User, *, methods: list[str], at: datetime) -> None:
    """Open the session under a new key, and list it. Raises SignInRefused for a person who is switched off."""
    if not user.is_active:
        raise SignInRefused
    request.session.pop(PENDING, None)
    is_again = auth.SESSION_KEY in request.session
    auth.login(request, user)
    if is_again:
        # Django keeps the key of somebody who signs in again; a sign-in has a session of its own.
        request.session.cycle_key()
    note_proof(request.session, at)
    proofs = [proof for method in methods for proof in method.split("+")]
    note_provider(request.session, proofs)
    note_factors(request.session, user, proofs)
    bind_session(request.session, user)
    sessions.open_session(request, user, method="+".join(methods), at=at)
    record_platform(
        action="sign_in.succeeded",
        actor=Actor("user", str(user.id), user.label),
        entity=("user", user.id),
        at=at,
        detail={"methods": methods, "address": sessions.address_of(request)},
    )


def note_failure(request: HttpRequest, *, email: str, method: str, at: datetime) -> None:
    """Put a failed attempt on the platform's record, with the name if it is somebody's.

    People type their password where the name goes: what is nobody's address is not kept.
    """
    name = email if User.objects.filter(email__iexact=email).exists() else "?"
    record_platform(
        action="sign_in.failed",
        actor=Actor("user", "", name[:200]),
        entity=("user", name[:100]),
        at=at,
        detail={"address": sessions.address_of(request), "method": method},
    )
