"""Encryption of router passwords for one agent: an anonymous sealed box.

Ephemeral X25519 -> HKDF-SHA256 -> AES-256-GCM, bound to the device by its id. Only the agent that holds the private
key can decrypt a box; the server cannot.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION = b"\x01"
INFO = b"ispvm-agent-credential-v1"
KEY_BYTES = 32
NONCE_BYTES = 12


class SealedBoxInvalid(ValueError):
    """Not a sealed box, or sealed for another key or device."""


def seal_for(public_key: bytes, plaintext: bytes, device_id: str) -> str:
    """Encrypt for the holder of this raw X25519 public key. Raises SealedBoxInvalid for a bad key."""
    try:
        recipient = X25519PublicKey.from_public_bytes(public_key)
    except ValueError as error:
        raise SealedBoxInvalid("The sealing key is not a raw X25519 public key.") from error
    ephemeral = X25519PrivateKey.generate()
    ephemeral_public = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    nonce = os.urandom(NONCE_BYTES)
    key = _derive(ephemeral.exchange(recipient), ephemeral_public + public_key)
    box = AESGCM(key).encrypt(nonce, plaintext, device_id.encode())
    return base64.b64encode(VERSION + ephemeral_public + nonce + box).decode()


def open_sealed(private_key: X25519PrivateKey, sealed: str, device_id: str) -> bytes:
    """The plaintext. Raises SealedBoxInvalid when the box was modified, or is for another key or device."""
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealedBoxInvalid("Not base64.") from error
    header_length = 1 + KEY_BYTES + NONCE_BYTES
    if raw[:1] != VERSION or len(raw) < header_length + 16:
        raise SealedBoxInvalid("Unknown format.")
    sender, nonce = raw[1 : 1 + KEY_BYTES], raw[1 + KEY_BYTES : header_length]
    own = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    try:
        shared = private_key.exchange(X25519PublicKey.from_public_bytes(sender))
        return AESGCM(_derive(shared, sender + own)).decrypt(
            nonce, raw[header_length:], device_id.encode()
        )
    except (InvalidTag, ValueError) as error:
        raise SealedBoxInvalid(
            "The box cannot be decrypted with this key for this device."
        ) from error


def _derive(shared: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=INFO).derive(shared)
