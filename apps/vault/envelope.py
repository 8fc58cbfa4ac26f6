"""Envelope encryption, pure: AES-256-GCM with associated data that names where the secret lives."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.vault.errors import MasterKeyInvalid, SecretUnreadable

VERSION = b"\x01"
KEY_BYTES = 32
NONCE_BYTES = 12


def read_master_key(path: str) -> bytes:
    """The key-encryption key from its file: 64 hexadecimal digits. Raises MasterKeyInvalid."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise MasterKeyInvalid(
            f"The master key file {path} cannot be read as hexadecimal; restore it from your backup."
        ) from error
    if len(key) != KEY_BYTES:
        raise MasterKeyInvalid(
            f"The master key file {path} holds {len(key)} bytes, 32 are needed; restore it from your backup."
        )
    return key


def place(*parts: str) -> bytes:
    """Associated data: length-prefixed names of tenant, table, row, field."""
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))


def seal(key: bytes, plaintext: bytes, where: bytes) -> bytes:
    """version | nonce | ciphertext and tag, readable only at ``where``."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, VERSION + where)


def unseal(key: bytes, sealed: bytes, where: bytes) -> bytes:
    """The plaintext. Raises SecretUnreadable for anything that was changed or moved."""
    if sealed[:1] != VERSION or len(sealed) < 1 + NONCE_BYTES + 16:
        raise SecretUnreadable(message="The stored secret has an unknown form.")
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, VERSION + where)
    except InvalidTag as error:
        raise SecretUnreadable(message="The stored secret does not open at this place.") from error
