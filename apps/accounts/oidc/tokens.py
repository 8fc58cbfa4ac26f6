"""Validating an ID token (OpenID Connect Core, 3.1.3.7). Pure: token, keys and expected values in, claims out.

Only the provider's published keys are used: ``jku``, ``x5u`` and ``jwk`` headers are ignored, ``kid`` is only compared,
and symmetric algorithms are not accepted.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from apps.accounts.errors import IdentityRefused

ALGORITHMS = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "EdDSA": "OKP",
}
MAX_TOKEN_LENGTH = 32_000
MAX_SUBJECT_LENGTH = 191
#: Allowed clock difference, in seconds.
LEEWAY = 60
MIN_RSA_BITS = 2048
REQUIRED = ["iss", "sub", "aud", "exp", "iat"]


class TokenRefused(IdentityRefused):
    """The ID token is not valid for this provider and this sign-in."""

    default_code = "id_token_refused"


class UnknownKey(TokenRefused):
    """The ID token is signed by none of the cached keys: the provider may have rotated them."""


@dataclass(frozen=True)
class ExpectedToken:
    """Values that an ID token must match."""

    issuer: str
    client_id: str
    nonce: str
    #: Earliest accepted ``auth_time``, as Unix time; None: any.
    authenticated_since: float | None = None


def verify(
    token: str, *, keys: Sequence[Mapping[str, Any]], expected: ExpectedToken
) -> dict[str, Any]:
    """The claims of a valid token. Raises TokenRefused, UnknownKey."""
    algorithm, key = _key_of(token, keys)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=LEEWAY,
            options={"require": REQUIRED},
        )
    except jwt.InvalidSignatureError as error:
        # Some providers rotate a key without changing its id.
        raise UnknownKey(message=f"The ID token is invalid: {error}.") from error
    except jwt.InvalidTokenError as error:
        raise TokenRefused(message=f"The ID token is invalid: {error}.") from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise TokenRefused(message="The ID token cannot be read.") from error
    _check_authorized_party(claims, expected.client_id)
    _check_nonce(claims, expected.nonce)
    subject = claims["sub"]
    if not subject.strip() or len(subject) > MAX_SUBJECT_LENGTH or "\x00" in subject:
        raise TokenRefused(message="The subject is empty, too long or not storable.")
    if expected.authenticated_since is not None:
        _check_auth_time(claims, expected.authenticated_since)
    return claims


def _key_of(token: str, keys: Sequence[Mapping[str, Any]]) -> tuple[str, Any]:
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise TokenRefused(message="There is no readable ID token.")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise TokenRefused(message="The ID token is not a signed token.") from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused(message="The signature algorithm of the ID token is not accepted.")
    if "crit" in header:
        raise TokenRefused(message="The ID token has critical headers that are not supported.")
    kid = header.get("kid")
    candidates = [
        key
        for key in keys
        if key.get("kty") == ALGORITHMS[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if len(candidates) != 1:
        raise UnknownKey(message="The provider publishes no key that matches the ID token.")
    return algorithm, _load_key(candidates[0], algorithm)


def _load_key(key: Mapping[str, Any], algorithm: str) -> Any:
    try:
        public_key = jwt.PyJWK(dict(key), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise TokenRefused(message="The provider's key cannot be read.") from error
    if getattr(public_key, "key_size", MIN_RSA_BITS) < MIN_RSA_BITS and key.get("kty") == "RSA":
        raise TokenRefused(message="The provider's key is too short.")
    return public_key


def _check_authorized_party(claims: Mapping[str, Any], client_id: str) -> None:
    audience, party = claims["aud"], claims.get("azp")
    has_several = isinstance(audience, list) and len(audience) > 1
    if (party is None and has_several) or (party is not None and party != client_id):
        raise TokenRefused(message="The ID token was issued to another client.")


def _check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    value = claims.get("nonce")
    if not isinstance(value, str) or not hmac.compare_digest(value.encode(), nonce.encode()):
        raise TokenRefused(message="The nonce of the ID token does not match this sign-in.")


def _check_auth_time(claims: Mapping[str, Any], since: float) -> None:
    at = claims.get("auth_time")
    if isinstance(at, bool) or not isinstance(at, int | float) or at < since - LEEWAY:
        raise TokenRefused(message="The provider did not authenticate the user again.")
