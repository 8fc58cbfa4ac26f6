"""Sealing and opening. A tenant's secrets are opened under a lease, audited once per lease, not once per poll."""

from apps.vault.errors import (
    CredentialNameTaken,
    CredentialSetInUse,
    MasterKeyInvalid,
    MasterKeyNotEverywhere,
    MasterKeyRetired,
    SecretUnreadable,
)
from apps.vault.services.credentials import (
    change_credential_set,
    create_credential_set,
    delete_credential_set,
    open_credential_set,
    secret_names_of,
    store_credential_set,
)
from apps.vault.services.leases import Lease, take_lease
from apps.vault.services.master_keys import check_master_key, keyring
from apps.vault.services.master_rotation import MasterRotation, rotate_master_key
from apps.vault.services.platform import platform_secret, store_platform_secret
from apps.vault.services.reseal import GRACE, Sweep, begin_rotation, retire_earlier_keys, sweep
from apps.vault.services.rotation import continue_rotation, rotate_now, start_rotation
from apps.vault.services.sealing import open_platform_field, open_secret, seal_secret
from apps.vault.services.status import VaultState, all_master_keys, vault_state

__all__ = [
    "GRACE",
    "CredentialNameTaken",
    "CredentialSetInUse",
    "Lease",
    "MasterKeyInvalid",
    "MasterKeyNotEverywhere",
    "MasterKeyRetired",
    "MasterRotation",
    "SecretUnreadable",
    "Sweep",
    "VaultState",
    "all_master_keys",
    "begin_rotation",
    "change_credential_set",
    "check_master_key",
    "continue_rotation",
    "create_credential_set",
    "delete_credential_set",
    "keyring",
    "open_credential_set",
    "open_platform_field",
    "open_secret",
    "platform_secret",
    "retire_earlier_keys",
    "rotate_master_key",
    "rotate_now",
    "seal_secret",
    "secret_names_of",
    "start_rotation",
    "store_credential_set",
    "store_platform_secret",
    "sweep",
    "take_lease",
    "vault_state",
]
