"""Sealing and opening. Opening inside a tenant is the caller's to audit, once per lease."""

import os
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from apps.accounts.actors import Actor
from apps.audit.services import record
from apps.core import clock
from apps.tenancy.context import require_tenant_id
from apps.vault.choices import CredentialKind
from apps.vault.envelope import KEY_BYTES, place, read_master_key, seal, unseal
from apps.vault.errors import MasterKeyInvalid, SecretUnreadable
from apps.vault.models import CredentialSet, PlatformSecret, TenantKey

CHECK_NAME = "master-key-check"
CHECK_TEXT = b"ispvm master key check"

__all__ = ["MasterKeyInvalid", "SecretUnreadable"]


@lru_cache(maxsize=2)
def _master_key(path: str) -> bytes:
    return read_master_key(path)


def master_key() -> bytes:
    """The installation's key-encryption key. Raises MasterKeyInvalid."""
    return _master_key(settings.ISPVM_MASTER_KEY_FILE)


def check_master_key() -> None:
    """Refuse to go on with a key other than the one this database was sealed with.

    Raises MasterKeyInvalid. The first start writes the check value.
    """
    where = place("platform", CHECK_NAME)
    row, _ = PlatformSecret.objects.get_or_create(
        name=CHECK_NAME,
        defaults={"sealed": seal(master_key(), CHECK_TEXT, where), "created_at": clock.now()},
    )
    try:
        unseal(master_key(), bytes(row.sealed), where)
    except SecretUnreadable as error:
        raise MasterKeyInvalid(
            f"{settings.ISPVM_MASTER_KEY_FILE} is not the key that this database was sealed with; "
            "restore the right file from your backup."
        ) from error


def seal_secret(*, table: str, row_id: UUID | str, field: str, plaintext: bytes) -> bytes:
    """Seal for one field of one row of the current tenant."""
    return seal(_tenant_key(), plaintext, _where(table, row_id, field))


def open_secret(*, table: str, row_id: UUID | str, field: str, sealed: bytes | memoryview) -> bytes:
    """Open what ``seal_secret`` made for the same place. Raises SecretUnreadable."""
    return unseal(_tenant_key(), bytes(sealed), _where(table, row_id, field))


def store_platform_secret(*, name: str, plaintext: bytes, at: datetime) -> bytes:
    """Keep a secret of the installation; the first writer wins and its value is returned."""
    where = place("platform", name)
    row, _ = PlatformSecret.objects.get_or_create(
        name=name, defaults={"sealed": seal(master_key(), plaintext, where), "created_at": at}
    )
    return unseal(master_key(), bytes(row.sealed), where)


def platform_secret(name: str) -> bytes | None:
    """A secret of the installation, or None."""
    row = PlatformSecret.objects.filter(name=name).first()
    return unseal(master_key(), bytes(row.sealed), place("platform", name)) if row else None


def store_credential_set(
    *,
    name: str,
    username: str,
    secret: str,
    actor: Actor,
    at: datetime,
    kind: str = CredentialKind.ROUTEROS_API,
) -> CredentialSet:
    """Make a credential set, or give the one of that name a new login. The secret is write-only."""
    with transaction.atomic():
        found = CredentialSet.objects.select_for_update().filter(name=name).first()
        row = found or CredentialSet(name=name, version=0)
        row.kind, row.username, row.updated_at = kind, username, at
        row.version += 1
        row.sealed_secret = seal_secret(
            table="vault_credentialset", row_id=row.id, field="secret", plaintext=secret.encode()
        )
        row.save()
        record(
            action="credential_set.stored",
            actor=actor,
            entity=("credential_set", row.id),
            at=at,
            detail={"name": name, "version": row.version},
        )
    return row


def open_credential_set(*, credential_set: CredentialSet) -> str:
    """The login's password. The caller audits why."""
    return open_secret(
        table="vault_credentialset",
        row_id=credential_set.id,
        field="secret",
        sealed=credential_set.sealed_secret,
    ).decode()


def _where(table: str, row_id: UUID | str, field: str) -> bytes:
    return place(str(require_tenant_id()), table, str(row_id), field)


def _tenant_key() -> bytes:
    tenant_id = require_tenant_id()
    where = place("tenant-key", str(tenant_id))
    row = TenantKey.objects.first()
    if row is None:
        made = TenantKey(
            wrapped=seal(master_key(), os.urandom(KEY_BYTES), where), created_at=clock.now()
        )
        try:
            with transaction.atomic():
                made.save(force_insert=True)
            row = made
        except IntegrityError:  # another worker made it first
            row = TenantKey.objects.get()
    return unseal(master_key(), bytes(row.wrapped), where)
