"""The master keys registered in this database, and whether this process has them."""

from collections.abc import Iterator
from functools import lru_cache

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.vault.envelope import FORMAT_WITHOUT_KEY_ID, encode_associated_data, seal, unseal
from apps.vault.errors import MasterKeyInvalid, MasterKeyRetired, SecretUnreadable
from apps.vault.keyring import Keyring, read_keyring
from apps.vault.keyring import MasterKey as Key
from apps.vault.models import MasterKey, PlatformSecret, TenantKey

log = structlog.get_logger(__name__)

CHECK_TEXT = b"ispvm master key check"
#: Platform secret that held the only key's check value before ``MasterKey`` existed.
LEGACY_CHECK_NAME = "master-key-check"


@lru_cache(maxsize=4)
def _keyring(path: str, text: str, previous_path: str) -> Keyring:
    master_keys = read_keyring(path=path, text=text, previous_path=previous_path)
    if master_keys.is_in_environment:
        # Every child of this process inherits it, and /proc shows it.
        log.warning("master_key_in_environment", hint="Use ISPVM_MASTER_KEY_FILE instead.")
    return master_keys


def keyring() -> Keyring:
    """The master keys of this process, read once. Raises MasterKeyInvalid."""
    return _keyring(
        settings.ISPVM_MASTER_KEY_FILE,
        settings.ISPVM_MASTER_KEY,
        settings.ISPVM_MASTER_KEY_PREVIOUS_FILE,
    )


def check_master_key() -> Keyring:
    """Refuse to start without every live master key of this database. The first start writes the check value.

    A new key is accepted only together with every live key. Idempotent. Raises MasterKeyInvalid.
    """
    master_keys = keyring()
    known = {row.key_id: row for row in MasterKey.objects.all()}
    if not known:
        _register_legacy_key(master_keys)
        known = {row.key_id: row for row in MasterKey.objects.all()}
    _require_live_keys(master_keys, [row for row in known.values() if row.retired_at is None])
    current = known.get(master_keys.current.label)
    if current is None:
        _register(master_keys.current)
    elif current.retired_at is not None:
        raise MasterKeyInvalid(
            f"{master_keys.source} is master key {master_keys.current.label}, which was rotated away on "
            f"{current.retired_at:%Y-%m-%d}; give this process the newer key."
        )
    return master_keys


def seal_with_master(plaintext: bytes, associated_data: bytes) -> bytes:
    """Wrap a data key under the current master key, which cannot be retired until this transaction ends.

    Locks: the master key's row (shared). Raises MasterKeyInvalid, MasterKeyRetired.
    """
    key = keyring().current
    if not _lock_live(key):
        if MasterKey.objects.filter(key_id=key.label).exists():
            raise MasterKeyRetired(
                message="The master key of this process was rotated away; restart it with the new one."
            )
        check_master_key()
        _lock_live(key)
    return seal(key.secret, key.id, plaintext, associated_data)


def open_with_master(sealed: bytes, key_id: bytes | None, associated_data: bytes) -> bytes:
    """Unwrap. The first format has no key id: each key is tried. Raises SecretUnreadable."""
    master_keys = keyring()
    if key_id is None:
        for key in master_keys.all:
            try:
                return unseal(key.secret, sealed, associated_data)
            except SecretUnreadable:
                continue
        raise SecretUnreadable(message="No master key of this process opens it.")
    key_by_id = master_keys.find(key_id)
    if key_by_id is None:
        raise SecretUnreadable(
            message=f"It is sealed under master key {key_id.hex()}, which this process does not have."
        )
    return unseal(key_by_id.secret, sealed, associated_data)


def _lock_live(key: Key) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM vault_masterkey WHERE key_id = %s AND retired_at IS NULL FOR KEY SHARE",
            [key.label],
        )
        return cursor.fetchone() is not None


def _require_live_keys(master_keys: Keyring, live: list[MasterKey]) -> None:
    available = {key.label: key for key in master_keys.all}
    missing = [row.key_id for row in live if row.key_id not in available]
    if missing and len(missing) == len(live):
        raise MasterKeyInvalid(
            f"{master_keys.source} is not the key that this database was sealed with; "
            "restore the right file from your backup."
        )
    if missing:
        raise MasterKeyInvalid(
            f"This database is also sealed under master key {missing[0]}, which this process does not have: "
            "a rotation is not finished. Put that key into ISPVM_MASTER_KEY_PREVIOUS_FILE."
        )
    for row in live:
        try:
            unseal(
                available[row.key_id].secret,
                bytes(row.check_value),
                _check_associated_data(row.key_id),
            )
        except SecretUnreadable as error:
            raise MasterKeyInvalid(
                f"The check value of master key {row.key_id} was changed in the database; "
                "restore the table vault_masterkey from your backup."
            ) from error


def _register(key: Key) -> None:
    try:
        with transaction.atomic():
            MasterKey(
                key_id=key.label,
                check_value=seal(key.secret, key.id, CHECK_TEXT, _check_associated_data(key.label)),
                created_at=clock.now(),
            ).save(force_insert=True)
    except IntegrityError:  # another process was first, with the same key
        return


def _register_legacy_key(master_keys: Keyring) -> None:
    """Register the master key of an old database, which has no ``MasterKey`` rows: the one that opens its ciphertexts.

    A new database has no ciphertexts.
    """
    legacy = next(_legacy_ciphertexts(), None)
    if legacy is None:
        return
    sealed, associated_data = legacy
    for key in master_keys.all:
        try:
            unseal(key.secret, sealed, associated_data)
        except SecretUnreadable:
            continue
        _register(key)
        return
    raise MasterKeyInvalid(
        f"{master_keys.source} is not the key that this database was sealed with; "
        "restore the right file from your backup."
    )


def _legacy_ciphertexts() -> Iterator[tuple[bytes, bytes]]:
    """Ciphertexts in the first format with their associated data."""
    for secret in PlatformSecret.objects.order_by("name"):
        if bytes(secret.sealed_value).startswith(FORMAT_WITHOUT_KEY_ID):
            yield bytes(secret.sealed_value), encode_associated_data("platform", secret.name)
    for tenant_id in Tenant.objects.order_by("pk").values_list("pk", flat=True):
        with acting_in(tenant_id):
            wrapped_keys = [bytes(row.wrapped_key) for row in TenantKey.objects.all()]
        for wrapped_key in wrapped_keys:
            if wrapped_key.startswith(FORMAT_WITHOUT_KEY_ID):
                yield wrapped_key, encode_associated_data("tenant-key", str(tenant_id))


def _check_associated_data(key_id: str) -> bytes:
    return encode_associated_data("platform", "vault_masterkey", key_id, "check_value")
