"""Envelope encryption, pure: AES-256-GCM with associated data that names where the secret lives.

``form | id of the key | nonce | ciphertext and tag``. Form and key id are authenticated with the place, so a
ciphertext opens in one place, under one version of one key, and nowhere else.
"""

import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.vault.errors import SecretUnreadable

KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16

FORM = b"\x02"
#: The first form named no key; what it sealed is still read, and re-sealed by the next rotation.
FORM_WITHOUT_KEY_ID = b"\x01"


class Parts(NamedTuple):
    """A ciphertext taken apart; ``key_id`` is None in the first form."""

    head: bytes
    key_id: bytes | None
    nonce: bytes
    body: bytes


def place(*parts: str) -> bytes:
    """Associated data: length-prefixed names of tenant, table, row, field."""
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))


def seal(key: bytes, key_id: bytes, plaintext: bytes, where: bytes) -> bytes:
    """Readable only with this key, at ``where``."""
    if len(key_id) != KEY_ID_BYTES:
        raise ValueError("The id of a key is 8 bytes.")
    nonce = os.urandom(NONCE_BYTES)
    head = FORM + key_id
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, head + where)


def parts_of(sealed: bytes) -> Parts:
    """What a ciphertext is made of. Raises SecretUnreadable for what is none."""
    form = sealed[:1]
    head_bytes = 1 + (KEY_ID_BYTES if form == FORM else 0)
    if (
        form not in {FORM, FORM_WITHOUT_KEY_ID}
        or len(sealed) < head_bytes + NONCE_BYTES + TAG_BYTES
    ):
        raise SecretUnreadable(message="The stored secret has an unknown form.")
    head, rest = sealed[:head_bytes], sealed[head_bytes:]
    return Parts(head, head[1:] or None, rest[:NONCE_BYTES], rest[NONCE_BYTES:])


def unseal(key: bytes, sealed: bytes, where: bytes) -> bytes:
    """The plaintext. Raises SecretUnreadable for anything that was changed or moved."""
    parts = parts_of(sealed)
    try:
        return AESGCM(key).decrypt(parts.nonce, parts.body, parts.head + where)
    except InvalidTag as error:
        raise SecretUnreadable(message="The stored secret does not open at this place.") from error
