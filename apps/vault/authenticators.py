"""How allauth's second factors are kept: sealed under a key of the vault's platform area, each for its person."""

import os
from base64 import b64decode, b64encode

from allauth.mfa.adapter import DefaultMFAAdapter

from apps.accounts.second_factor import sealed_for
from apps.core import clock
from apps.vault.envelope import KEY_BYTES, place, seal, unseal
from apps.vault.errors import SecretUnreadable
from apps.vault.services import platform_secret, store_platform_secret

KEY_NAME = "second-factors"
#: There is one such key, which the platform's key seals and its rotation re-seals.
KEY_ID = b"factors\x01"


class SealedAuthenticators(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """Named by ``MFA_ADAPTER``. A row moved to another person does not open."""

    def encrypt(self, text: str) -> str:
        """Seal for the person whose turn it is."""
        return b64encode(seal(_key(), KEY_ID, text.encode(), _where())).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises SecretUnreadable for anything that was changed or is another person's."""
        try:
            sealed = b64decode(encrypted_text, validate=True)
        except ValueError as error:
            raise SecretUnreadable(message="The stored secret has an unknown form.") from error
        return unseal(_key(), sealed, _where()).decode()

    def get_totp_issuer(self) -> str:
        """What an authenticator app writes above the code."""
        return "Visual Monitor"

    def _get_site_name(self) -> str:
        return "Visual Monitor"


def _key() -> bytes:
    return platform_secret(KEY_NAME) or store_platform_secret(
        name=KEY_NAME, plaintext=os.urandom(KEY_BYTES), at=clock.now()
    )


def _where() -> bytes:
    owner = sealed_for.get()
    if owner is None:
        raise RuntimeError("A second factor is sealed for a person: use second_factor.secrets_of.")
    return place("platform", "mfa_authenticator", str(owner))
