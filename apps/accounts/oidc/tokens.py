"""Judging an ID token. Pure: a token, the provider's keys and what was asked for go in, claims or a refusal come out.

Only the provider's published keys count: whatever a token says about where its key is (``jku``, ``x5u``, ``jwk``) is
not read, ``kid`` is compared and nothing else, and no secret that both sides know can sign.
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
LONGEST_TOKEN = 32_000
LONGEST_SUBJECT = 191
#: How far clocks may differ, in seconds.
LEEWAY = 60
LEAST_RSA_BITS = 2048
REQUIRED = ["iss", "sub", "aud", "exp", "iat"]


class TokenRefused(IdentityRefused):
    """The ID token is not one that this provider made for this sign-in."""

    default_code = "id_token_refused"


class UnknownKey(TokenRefused):
    """None of the keys at hand has signed it: they may have been changed since they were read."""


@dataclass(frozen=True)
class Asked:
    """What an ID token must be the answer to."""

    issuer: str
    client_id: str
    nonce: str
    #: Unix time before which the person must not have signed in at the provider; None: any time.
    proven_since: float | None = None


def verify(token: str, *, keys: Sequence[Mapping[str, Any]], asked: Asked) -> dict[str, Any]:
    """The claims of a token that holds in every respect. Raises TokenRefused, UnknownKey."""
    algorithm, key = _key_of(token, keys)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=asked.client_id,
            issuer=asked.issuer,
            leeway=LEEWAY,
            options={"require": REQUIRED},
        )
    except jwt.InvalidSignatureError as error:
        # Some providers change a key and keep its id.
        raise UnknownKey(message=f"The ID token does not hold: {error}.") from error
    except jwt.InvalidTokenError as error:
        raise TokenRefused(message=f"The ID token does not hold: {error}.") from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise TokenRefused(message="The ID token cannot be read.") from error
    _check_party(claims, asked.client_id)
    _check_nonce(claims, asked.nonce)
    subject = claims["sub"]
    if not subject.strip() or len(subject) > LONGEST_SUBJECT or "\x00" in subject:
        raise TokenRefused(message="The subject cannot be kept.")
    if asked.proven_since is not None:
        _check_proof(claims, asked.proven_since)
    return claims


def _key_of(token: str, keys: Sequence[Mapping[str, Any]]) -> tuple[str, Any]:
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        raise TokenRefused(message="There is no readable ID token.")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise TokenRefused(message="The ID token is not a signed token.") from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused(message="The ID token is signed in a way that is not accepted.")
    if "crit" in header:
        raise TokenRefused(message="The ID token makes demands that are not understood.")
    kid = header.get("kid")
    fitting = [
        key
        for key in keys
        if key.get("kty") == ALGORITHMS[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if len(fitting) != 1:
        raise UnknownKey(message="The provider has published no key that fits the ID token.")
    return algorithm, _readable(fitting[0], algorithm)


def _readable(key: Mapping[str, Any], algorithm: str) -> Any:
    try:
        made = jwt.PyJWK(dict(key), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise TokenRefused(message="The provider's key cannot be read.") from error
    if getattr(made, "key_size", LEAST_RSA_BITS) < LEAST_RSA_BITS and key.get("kty") == "RSA":
        raise TokenRefused(message="The provider's key is too short.")
    return made


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    audience, party = claims["aud"], claims.get("azp")
    several = isinstance(audience, list) and len(audience) > 1
    if (party is None and several) or (party is not None and party != client_id):
        raise TokenRefused(message="The ID token was made for another party.")


def _check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise TokenRefused(message="The ID token answers another sign-in.")


def _check_proof(claims: Mapping[str, Any], since: float) -> None:
    at = claims.get("auth_time")
    if isinstance(at, bool) or not isinstance(at, int | float) or at < since - LEEWAY:
        raise TokenRefused(message="The provider did not ask the person again.")
