"""Storage of allauth's second factors: sealed under a platform key of the vault, bound to their user."""

import os
from base64 import b64decode, b64encode

from allauth.mfa.adapter import DefaultMFAAdapter

from apps.accounts.second_factor import sealed_for
from apps.core import clock
from apps.vault.envelope import KEY_BYTES, encode_associated_data, seal, unseal
from apps.vault.errors import SecretUnreadable
from apps.vault.services import platform_secret, store_platform_secret

KEY_NAME = "second-factors"
#: There is one such key; the platform's data key seals it and its rotation re-seals it.
KEY_ID = b"factors\x01"


class SealedAuthenticators(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """Named by ``MFA_ADAPTER``. A ciphertext moved to another user's row cannot be decrypted."""

    def encrypt(self, text: str) -> str:
        """Seal for the user in ``sealed_for``."""
        return b64encode(seal(_key(), KEY_ID, text.encode(), _associated_data())).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises SecretUnreadable for anything that was changed or is another user's."""
        try:
            sealed = b64decode(encrypted_text, validate=True)
        except ValueError as error:
            raise SecretUnreadable(message="The stored secret has an unknown format.") from error
        return unseal(_key(), sealed, _associated_data()).decode()

    def get_totp_issuer(self) -> str:
        """The name that an authenticator app shows."""
        return "Visual Monitor"

    def _get_site_name(self) -> str:
        return "Visual Monitor"


def _key() -> bytes:
    return platform_secret(KEY_NAME) or store_platform_secret(
        name=KEY_NAME, plaintext=os.urandom(KEY_BYTES), at=clock.now()
    )


def _associated_data() -> bytes:
    owner = sealed_for.get()
    if owner is None:
        raise RuntimeError("A second factor is sealed for one user: use second_factor.secrets_of.")
    return encode_associated_data("platform", "mfa_authenticator", str(owner))
