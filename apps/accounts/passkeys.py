"""Passkeys: made, and asked for, by WebAuthn. allauth and fido2 judge what the browser answers."""

import json
import struct
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth as webauthn
from cryptography.exceptions import InvalidSignature
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from apps.accounts import second_factor
from apps.accounts.errors import PasskeyRefused
from apps.accounts.models import User

MOST = 20
LONGEST_ANSWER = 20_000
ASKED = "passkey_asked"
#: All that the libraries raise at an answer that is not what it should be.
_UNREADABLE = (
    ValidationError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    struct.error,
    InvalidSignature,
)


def offer(request: HttpRequest, user: User) -> dict[str, Any]:
    """What the browser needs to make a passkey that can sign this person in by itself."""
    request.session[ASKED] = f"make {user.id}"
    return webauthn.begin_registration(user, passwordless=True)  # type: ignore[no-any-return]


def add(request: HttpRequest, user: User, *, name: str, answer: str, at: datetime) -> None:
    """Keep the passkey that the browser made. Raises PasskeyRefused."""
    credential = _read(answer)
    _require_asked(request, f"make {user.id}")
    try:
        webauthn.parse_registration_response(credential)
        webauthn.complete_registration(credential)
    except _UNREADABLE as error:
        raise PasskeyRefused from error
    finally:
        webauthn.clear_state()
    with transaction.atomic():
        # Two that are added at once are counted one after the other.
        User.objects.select_for_update().get(pk=user.pk)
        kept = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
        if kept.count() >= MOST:
            raise PasskeyRefused(message=f"{MOST} passkeys are the most. Remove one first.")
        webauthn.WebAuthn.add(user, name, credential)
        second_factor.note(user, "second_factor.added", "passkey", at)


def challenge(request: HttpRequest, user: User | None) -> dict[str, Any]:
    """What the browser needs to prove a passkey: of this person, or (None) of whoever it is.

    Alone it must say that it verified its owner; after a password, having it is enough.
    """
    request.session[ASKED] = _asked_of(user)
    return webauthn.begin_authentication(user)  # type: ignore[no-any-return]


def prove(request: HttpRequest, user: User | None, *, answer: str, at: datetime) -> User:
    """The person whose passkey answered the last challenge. Raises PasskeyRefused. A challenge is good once."""
    response = _read(answer)
    # A challenge that did not ask for the owner's verification must not open the door that relies on it.
    _require_asked(request, _asked_of(user))
    try:
        webauthn.parse_authentication_response(response)
        person = user or webauthn.extract_user_from_response(response)
        factor = webauthn.complete_authentication(person, response)
    except _UNREADABLE as error:
        raise PasskeyRefused from error
    finally:
        webauthn.clear_state()
    if not person.is_active:
        raise PasskeyRefused
    Authenticator.objects.filter(pk=factor.pk).update(last_used_at=at)
    return person


def _asked_of(user: User | None) -> str:
    return f"prove {user.id}" if user else "prove"


def _require_asked(request: HttpRequest, what: str) -> None:
    if request.session.pop(ASKED, None) != what:
        webauthn.clear_state()
        raise PasskeyRefused


def _read(answer: str) -> dict[str, Any]:
    if len(answer) > LONGEST_ANSWER:
        raise PasskeyRefused
    try:
        read = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise PasskeyRefused from error
    if not isinstance(read, dict):
        raise PasskeyRefused
    return read
