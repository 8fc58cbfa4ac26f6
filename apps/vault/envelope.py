"""Envelope encryption, pure: AES-256-GCM with associated data that names the secret's owner, table, row and field.

``format | key id | nonce | ciphertext and tag``. Format and key id are authenticated with the associated data, so a
ciphertext opens only in its own field, under one version of one key.
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

FORMAT = b"\x02"
#: The first format has no key id; such ciphertexts are still read, and re-sealed by the next rotation.
FORMAT_WITHOUT_KEY_ID = b"\x01"


class ParsedCiphertext(NamedTuple):
    """A parsed ciphertext; ``key_id`` is None in the first format."""

    header: bytes
    key_id: bytes | None
    nonce: bytes
    ciphertext: bytes


def encode_associated_data(*parts: str) -> bytes:
    """Length-prefixed names of tenant, table, row, field."""
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))


def seal(key: bytes, key_id: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Readable only with this key and this associated data."""
    if len(key_id) != KEY_ID_BYTES:
        raise ValueError("The id of a key is 8 bytes.")
    nonce = os.urandom(NONCE_BYTES)
    header = FORMAT + key_id
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + associated_data)


def parse_ciphertext(sealed: bytes) -> ParsedCiphertext:
    """Split a ciphertext into its parts. Raises SecretUnreadable for an unknown format."""
    version_byte = sealed[:1]
    header_bytes = 1 + (KEY_ID_BYTES if version_byte == FORMAT else 0)
    if (
        version_byte not in {FORMAT, FORMAT_WITHOUT_KEY_ID}
        or len(sealed) < header_bytes + NONCE_BYTES + TAG_BYTES
    ):
        raise SecretUnreadable(message="The stored secret has an unknown format.")
    header, rest = sealed[:header_bytes], sealed[header_bytes:]
    return ParsedCiphertext(header, header[1:] or None, rest[:NONCE_BYTES], rest[NONCE_BYTES:])


def unseal(key: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    """The plaintext. Raises SecretUnreadable for anything that was changed or moved."""
    parts = parse_ciphertext(sealed)
    try:
        return AESGCM(key).decrypt(parts.nonce, parts.ciphertext, parts.header + associated_data)
    except InvalidTag as error:
        raise SecretUnreadable(
            message="The stored secret does not open with this associated data."
        ) from error
