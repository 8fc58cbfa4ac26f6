"""Secrets and signatures of webhooks: Standard Webhooks 1.0, and the plain body signature beside it."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32


def make_secret() -> str:
    """A new secret in the form that is shown to the operator."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The HMAC key encoded in a secret. Raises ValueError."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"A webhook secret starts with {PREFIX}.")
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("A webhook secret is base64 after the prefix.") from error


def legacy_signature(secret: str, body: bytes) -> str:
    """``X-ISPVM-Signature``: over the raw body, with the secret's text as the key."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_signature(
    live_secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes
) -> str:
    """``webhook-signature``: one value per live secret, so that a receiver may hold any of them."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key_of(secret), content, "sha256")).decode()
        for secret in live_secrets
    )
