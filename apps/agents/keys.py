"""Private keys of certificate authorities, sealed under the CA key file, which only the signer has."""

from functools import lru_cache

from django.conf import settings

from apps.agents.errors import SignerUnavailable
from apps.vault.envelope import encode_associated_data, seal, unseal
from apps.vault.keyring import MasterKey, read_keyring
from apps.vault.services import SecretUnreadable


def may_sign() -> bool:
    """Whether this process has the CA key file."""
    return bool(settings.ISPVM_CA_KEY_FILE)


def seal_authority_key(fingerprint: str, key_pem: bytes) -> bytes:
    """Seal the private key of the authority with this certificate. Raises SignerUnavailable, MasterKeyInvalid."""
    key = _file_key()
    return seal(key.secret, key.id, key_pem, encode_associated_data("authority", fingerprint))


def open_authority_key(fingerprint: str, sealed: bytes) -> bytes:
    """The private key as PEM. Raises SignerUnavailable, MasterKeyInvalid, SecretUnreadable for another key file."""
    return unseal(_file_key().secret, sealed, encode_associated_data("authority", fingerprint))


def _file_key() -> MasterKey:
    if not may_sign():
        raise SignerUnavailable(
            message="This process has no CA key file; only the signer can sign."
        )
    return _read(settings.ISPVM_CA_KEY_FILE)


@lru_cache(maxsize=2)
def _read(path: str) -> MasterKey:
    return read_keyring(path=path, text="", previous_path="").current


__all__ = ["SecretUnreadable", "may_sign", "open_authority_key", "seal_authority_key"]
