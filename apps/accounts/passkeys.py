"""Passkeys (WebAuthn): registration and authentication. allauth and fido2 verify the browser's response.

Checked here, because they do not: the full origin, frames of other sites, the signature counter, and that a credential
belongs to one user only.
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

MAX_PASSKEYS = 20
MAX_RESPONSE_BYTES = 20_000
#: Session key: for what, and for whom, the last challenge was issued.
PURPOSE = "passkey_purpose"
#: All that the libraries raise for a malformed response.
_MALFORMED = (
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


def begin_registration(request: HttpRequest, user: User) -> dict[str, Any]:
    """Options for the browser to create a passkey that can sign this user in without a password."""
    request.session[PURPOSE] = f"register {user.id}"
    return webauthn.begin_registration(user, passwordless=True)  # type: ignore[no-any-return]


def complete_registration(
    request: HttpRequest, user: User, *, name: str, response: str, at: datetime
) -> None:
    """Store the passkey that the browser created. Raises PasskeyRefused."""
    credential = _parse(response)
    _require_purpose(request, f"register {user.id}")
    try:
        _require_origin(credential)
        webauthn.parse_registration_response(credential)
        data = webauthn.complete_registration(credential)
        digest = _digest(data)
    except _MALFORMED as error:
        raise PasskeyRefused from error
    finally:
        webauthn.clear_state()
    with transaction.atomic():
        # Serializes concurrent registrations of one user, so that the limit holds.
        User.objects.select_for_update().get(pk=user.pk)
        passkeys = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
        if passkeys.count() >= MAX_PASSKEYS:
            raise PasskeyRefused(
                message=f"At most {MAX_PASSKEYS} passkeys are allowed. Remove one first."
            )
        try:
            with transaction.atomic():
                factor = webauthn.WebAuthn.add(user, name, credential).instance
                PasskeyCredential.objects.create(
                    authenticator=factor, digest=digest, sign_count=data.counter
                )
        except IntegrityError as error:
            raise PasskeyRefused(
                "passkey_taken", "This passkey is in use already. Choose another device or key."
            ) from error
        second_factor.record_factor(user, "second_factor.added", "passkey", at)


def begin_authentication(request: HttpRequest, user: User | None) -> dict[str, Any]:
    """A challenge for a passkey of this user, or (None) of any user.

    Without a user, user verification (PIN, fingerprint, face) is required; after a password, presence is enough.
    """
    request.session[PURPOSE] = _authentication_purpose(user)
    return webauthn.begin_authentication(user)  # type: ignore[no-any-return]


def complete_authentication(
    request: HttpRequest, user: User | None, *, response: str, at: datetime
) -> User:
    """The user whose passkey answered the last challenge. Raises PasskeyRefused. A challenge is accepted once."""
    credential = _parse(response)
    # A challenge without user verification must not be accepted where a passkey alone signs in.
    _require_purpose(request, _authentication_purpose(user))
    try:
        _require_origin(credential)
        webauthn.parse_authentication_response(credential)
        owner = user or webauthn.extract_user_from_response(credential)
        factor = webauthn.complete_authentication(owner, credential)
        counter = AuthenticatorData(
            websafe_decode(credential["response"]["authenticatorData"])
        ).counter
    except _MALFORMED as error:
        raise PasskeyRefused from error
    finally:
        webauthn.clear_state()
    if not owner.is_active:
        raise PasskeyRefused
    _store_counter(owner, factor, counter, at=at)
    Authenticator.objects.filter(pk=factor.pk).update(last_used_at=at)
    return owner


def origins() -> frozenset[str]:
    """Accepted origins (scheme, host and port): that of ISPVM_PUBLIC_URL, whatever the Host header says.

    For a loopback address, ``localhost`` is accepted too.
    """
    url = urlsplit(settings.ISPVM_PUBLIC_URL)
    origin = f"{url.scheme}://{url.netloc}".lower()
    port = f":{url.port}" if url.port else ""
    is_local = url.hostname == "localhost" or _is_loopback(url.hostname or "")
    return frozenset({origin, f"{url.scheme}://localhost{port}"} if is_local else {origin})


def _require_origin(credential: Mapping[str, Any]) -> None:
    """Raise PasskeyRefused for a response from another origin, or from a frame inside another site's page."""
    client_data = json.loads(websafe_decode(credential["response"]["clientDataJSON"]))
    is_framed = client_data.get("crossOrigin") or "topOrigin" in client_data
    if client_data["origin"] not in origins() or is_framed:
        raise PasskeyRefused("passkey_origin", "The passkey was requested by another site.")


def _store_counter(user: User, factor: Authenticator, counter: int, *, at: datetime) -> None:
    """Store the signature counter. Raises PasskeyRefused if it did not increase: the key may have been cloned.

    Compare and set: of two responses with the same counter one is refused.
    """
    later = Q(sign_count__lt=counter) | Q(sign_count=0) & Q(sign_count=counter)
    rows = PasskeyCredential.objects.filter(pk=factor.pk)
    if not rows.filter(later).update(sign_count=counter):
        second_factor.record_factor(user, "passkey.counter_went_back", "passkey", at)
        raise PasskeyRefused


def _digest(data: AuthenticatorData) -> bytes:
    if data.credential_data is None:
        raise PasskeyRefused
    return sha256(data.credential_data.credential_id).digest()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _authentication_purpose(user: User | None) -> str:
    return f"authenticate {user.id}" if user else "authenticate"


def _require_purpose(request: HttpRequest, purpose: str) -> None:
    if request.session.pop(PURPOSE, None) != purpose:
        webauthn.clear_state()
        raise PasskeyRefused


def _parse(response: str) -> dict[str, Any]:
    if len(response) > MAX_RESPONSE_BYTES:
        raise PasskeyRefused
    try:
        credential = json.loads(response)
    except (ValueError, RecursionError) as error:
        raise PasskeyRefused from error
    if not isinstance(credential, dict):
        raise PasskeyRefused
    return credential
