"""Passkeys: made, and asked for, by WebAuthn. allauth and fido2 judge what the browser answers.

What they leave out is here: the whole origin, frames of other sites, the counter, and one person per credential.
"""

import json
import struct
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth as webauthn
from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest
from fido2.utils import websafe_decode
from fido2.webauthn import AuthenticatorData

from apps.accounts import second_factor
from apps.accounts.errors import PasskeyRefused
from apps.accounts.models import PasskeyCredential, User

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
        _require_origin(credential)
        webauthn.parse_registration_response(credential)
        made = webauthn.complete_registration(credential)
        digest = _digest(made)
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
        try:
            with transaction.atomic():
                factor = webauthn.WebAuthn.add(user, name, credential).instance
                PasskeyCredential.objects.create(
                    authenticator=factor, digest=digest, sign_count=made.counter
                )
        except IntegrityError as error:
            raise PasskeyRefused(
                "passkey_taken", "This passkey is in use already. Choose another device or key."
            ) from error
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
        _require_origin(response)
        webauthn.parse_authentication_response(response)
        person = user or webauthn.extract_user_from_response(response)
        factor = webauthn.complete_authentication(person, response)
        counter = AuthenticatorData(
            websafe_decode(response["response"]["authenticatorData"])
        ).counter
    except _UNREADABLE as error:
        raise PasskeyRefused from error
    finally:
        webauthn.clear_state()
    if not person.is_active:
        raise PasskeyRefused
    _count_use(person, factor, counter, at=at)
    Authenticator.objects.filter(pk=factor.pk).update(last_used_at=at)
    return person


def origins() -> frozenset[str]:
    """From where passkeys are taken: the address at which people reach the platform, scheme, name and port.

    What a Host header says decides nothing. On one's own machine the name and the address are the same place.
    """
    url = urlsplit(settings.ISPVM_PUBLIC_URL)
    origin = f"{url.scheme}://{url.netloc}".lower()
    port = f":{url.port}" if url.port else ""
    is_local = url.hostname == "localhost" or _is_loopback(url.hostname or "")
    return frozenset({origin, f"{url.scheme}://localhost{port}"} if is_local else {origin})


def _require_origin(answer: Mapping[str, Any]) -> None:
    """Raise PasskeyRefused for an answer of another scheme, name or port, or of a page inside another site's."""
    read = json.loads(websafe_decode(answer["response"]["clientDataJSON"]))
    if read["origin"] not in origins() or read.get("crossOrigin") or "topOrigin" in read:
        raise PasskeyRefused("passkey_origin", "The passkey was asked for by another site.")


def _count_use(user: User, factor: Authenticator, counter: int, *, at: datetime) -> None:
    """Keep the authenticator's counter. Raises PasskeyRefused for one that went back: there may be a copy of the key.

    Compare and set: of two answers with one counter, one is refused.
    """
    later = Q(sign_count__lt=counter) | Q(sign_count=0) & Q(sign_count=counter)
    rows = PasskeyCredential.objects.filter(pk=factor.pk)
    if not rows.filter(later).update(sign_count=counter):
        second_factor.note(user, "passkey.counter_went_back", "passkey", at)
        raise PasskeyRefused


def _digest(made: AuthenticatorData) -> bytes:
    if made.credential_data is None:
        raise PasskeyRefused
    return sha256(made.credential_data.credential_id).digest()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


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
