"""The secret part of an enrollment token. Pure.

It starts with the tenant id, because it is looked up before the tenant is known.
"""

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from agent.protocol.tokens import PREFIX, TokenInvalid, parse_token

_SECRET_BYTES = 32
_MAX_CHARS = 200


@dataclass(frozen=True)
class TokenSecret:
    """The tenant of a token, and the secret's SHA-256 as proof of possession that does not reveal it."""

    tenant_id: UUID
    proof: bytes

    @property
    def digest(self) -> bytes:
        """The stored hash of the proof; the proof cannot be derived from it."""
        return hashlib.sha256(self.proof).digest()


def generate_secret(tenant_id: UUID) -> str:
    """256 random bits, prefixed with the tenant id."""
    return f"{tenant_id.hex}.{secrets.token_urlsafe(_SECRET_BYTES)}"


def parse_secret(text: str) -> TokenSecret | None:
    """Parse a whole token or its secret part; None if invalid."""
    text = text.strip()
    if text.startswith(PREFIX):
        try:
            text = parse_token(text).secret
        except TokenInvalid:
            return None
    tenant, dot, _ = text.partition(".")
    if not dot or len(text) > _MAX_CHARS:
        return None
    try:
        return TokenSecret(UUID(hex=tenant), hashlib.sha256(text.encode()).digest())
    except ValueError:  # not a tenant id, or invalid Unicode
        return None


def digest_of(secret: str) -> bytes:
    """The stored digest of a secret."""
    return hashlib.sha256(hashlib.sha256(secret.encode()).digest()).digest()
