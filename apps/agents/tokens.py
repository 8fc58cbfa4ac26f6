"""The secret part of an enrollment token. Pure.

It begins with the tenant, because it is looked up before any tenant is known; a wrong tenant finds nothing.
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
    """Whose token it is, and a proof of having it that does not tell it: the secret's SHA-256."""

    tenant_id: UUID
    proof: bytes

    @property
    def digest(self) -> bytes:
        """What is stored. Whoever reads it in the database has no proof."""
        return hashlib.sha256(self.proof).digest()


def make_secret(tenant_id: UUID) -> str:
    """256 random bits in the name of a tenant."""
    return f"{tenant_id.hex}.{secrets.token_urlsafe(_SECRET_BYTES)}"


def read_secret(text: str) -> TokenSecret | None:
    """What an enrolling agent sent (the whole token, or its secret part); None for anything else."""
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
    except ValueError:  # no tenant id, or text that is not Unicode
        return None


def digest_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(hashlib.sha256(secret.encode()).digest()).digest()
