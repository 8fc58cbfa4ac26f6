from django.core.exceptions import ImproperlyConfigured

from apps.core.errors import DomainError


class MasterKeyInvalid(ImproperlyConfigured):
    """The key file is missing, short or not the one this installation was sealed with."""


class SecretUnreadable(DomainError):
    """The ciphertext was changed, moved, or sealed under a key that is gone."""

    status = 500
    default_code = "secret_unreadable"
