from apps.core.errors import Conflict, DomainError
from apps.tenancy.startup_checks import StartupCheckFailed


class MasterKeyInvalid(StartupCheckFailed):
    """The key file is missing, short, readable by other accounts, or not the one this database was sealed with."""


class SecretUnreadable(DomainError):
    """The ciphertext was changed, moved, or sealed under a key that no longer exists."""

    status = 500
    default_code = "secret_unreadable"


class KeyRetired(SecretUnreadable):
    """Sealed under a data key that a rotation has retired since: the row holds a newer ciphertext."""


class MasterKeyRetired(Conflict):
    """This process still seals with a master key that has been rotated away; it must be restarted."""

    default_code = "master_key_retired"


class MasterKeyNotEverywhere(Conflict):
    """A running process lacks the new master key: it could neither open nor seal after the rotation."""

    default_code = "master_key_not_everywhere"


class CredentialSetInUse(Conflict):
    """Devices still use this credential set."""

    default_code = "credential_set_in_use"


class CredentialNameTaken(Conflict):
    """Another credential set of this tenant has that name."""

    default_code = "name_taken"
