"""Which master keys this database knows, and whether this process has them."""

from collections.abc import Iterator
from functools import lru_cache

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.vault.envelope import FORM_WITHOUT_KEY_ID, place, seal, unseal
from apps.vault.errors import MasterKeyInvalid, MasterKeyRetired, SecretUnreadable
from apps.vault.master import Keyring, read_keyring
from apps.vault.master import MasterKey as Key
from apps.vault.models import MasterKey, PlatformSecret, TenantKey

log = structlog.get_logger(__name__)

CHECK_TEXT = b"ispvm master key check"
#: Before master keys had rows of their own, the one key's check value stood here.
FIRST_CHECK_NAME = "master-key-check"


@lru_cache(maxsize=4)
def _keyring(path: str, text: str, previous_path: str) -> Keyring:
    ring = read_keyring(path=path, text=text, previous_path=previous_path)
    if ring.is_in_environment:
        # Every child of this process inherits it, and /proc shows it.
        log.warning("master_key_in_environment", hint="Use ISPVM_MASTER_KEY_FILE instead.")
    return ring


def keyring() -> Keyring:
    """The master keys of this process, read once. Raises MasterKeyInvalid."""
    return _keyring(
        settings.ISPVM_MASTER_KEY_FILE,
        settings.ISPVM_MASTER_KEY,
        settings.ISPVM_MASTER_KEY_PREVIOUS_FILE,
    )


def check_master_key() -> Keyring:
    """Refuse to go on without a key that this database is sealed with. The first start writes the check value.

    A new key is believed only beside every key that is live. Idempotent. Raises MasterKeyInvalid.
    """
    ring = keyring()
    known = {row.key_id: row for row in MasterKey.objects.all()}
    if not known:
        _adopt_first_key(ring)
        known = {row.key_id: row for row in MasterKey.objects.all()}
    _require_live_keys(ring, [row for row in known.values() if row.retired_at is None])
    current = known.get(ring.current.label)
    if current is None:
        _register(ring.current)
    elif current.retired_at is not None:
        raise MasterKeyInvalid(
            f"{ring.source} is master key {ring.current.label}, which was rotated away on "
            f"{current.retired_at:%Y-%m-%d}; give this process the newer key."
        )
    return ring


def seal_with_master(plaintext: bytes, where: bytes) -> bytes:
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
    return seal(key.secret, key.id, plaintext, where)


def open_with_master(sealed: bytes, key_id: bytes | None, where: bytes) -> bytes:
    """Unwrap. In the first form no key is named: each is tried. Raises SecretUnreadable."""
    ring = keyring()
    if key_id is None:
        for key in ring.all:
            try:
                return unseal(key.secret, sealed, where)
            except SecretUnreadable:
                continue
        raise SecretUnreadable(message="No master key of this process opens it.")
    named = ring.named(key_id)
    if named is None:
        raise SecretUnreadable(
            message=f"It is sealed under master key {key_id.hex()}, which this process does not have."
        )
    return unseal(named.secret, sealed, where)


def _lock_live(key: Key) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM vault_masterkey WHERE key_id = %s AND retired_at IS NULL FOR KEY SHARE",
            [key.label],
        )
        return cursor.fetchone() is not None


def _require_live_keys(ring: Keyring, live: list[MasterKey]) -> None:
    have = {key.label: key for key in ring.all}
    missing = [row.key_id for row in live if row.key_id not in have]
    if missing and len(missing) == len(live):
        raise MasterKeyInvalid(
            f"{ring.source} is not the key that this database was sealed with; "
            "restore the right file from your backup."
        )
    if missing:
        raise MasterKeyInvalid(
            f"This database is also sealed under master key {missing[0]}, which this process does not have: "
            "a rotation is not finished. Put that key into ISPVM_MASTER_KEY_PREVIOUS_FILE."
        )
    for row in live:
        try:
            unseal(have[row.key_id].secret, bytes(row.check_value), _check_place(row.key_id))
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
                check_value=seal(key.secret, key.id, CHECK_TEXT, _check_place(key.label)),
                created_at=clock.now(),
            ).save(force_insert=True)
    except IntegrityError:  # another process was first, with the same key
        return


def _adopt_first_key(ring: Keyring) -> None:
    """A database of before knows no master key by name: the one that opens what is there is believed, and no other.

    A new database has nothing that could be opened.
    """
    found = next(_sealed_before(), None)
    if found is None:
        return
    sealed, where = found
    for key in ring.all:
        try:
            unseal(key.secret, sealed, where)
        except SecretUnreadable:
            continue
        _register(key)
        return
    raise MasterKeyInvalid(
        f"{ring.source} is not the key that this database was sealed with; "
        "restore the right file from your backup."
    )


def _sealed_before() -> Iterator[tuple[bytes, bytes]]:
    """What a master key sealed when ciphertexts did not name their key, and where it belongs."""
    for secret in PlatformSecret.objects.order_by("name"):
        if bytes(secret.sealed).startswith(FORM_WITHOUT_KEY_ID):
            yield bytes(secret.sealed), place("platform", secret.name)
    for tenant_id in Tenant.objects.order_by("pk").values_list("pk", flat=True):
        with acting_in(tenant_id):
            wrapped = [bytes(row.wrapped) for row in TenantKey.objects.all()]
        for text in wrapped:
            if text.startswith(FORM_WITHOUT_KEY_ID):
                yield text, place("tenant-key", str(tenant_id))


def _check_place(key_id: str) -> bytes:
    return place("platform", "vault_masterkey", key_id, "check_value")
