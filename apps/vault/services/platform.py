"""Secrets of the installation: sealed by its own data key, in no tenant."""

from datetime import datetime

from django.db import transaction

from apps.vault.envelope import parts_of, place
from apps.vault.models import PlatformSecret
from apps.vault.registry import SealedField, sealed_field
from apps.vault.services.master_keys import open_with_master
from apps.vault.services.sealing import open_platform_field, seal_secret


def store_platform_secret(*, name: str, plaintext: bytes, at: datetime) -> bytes:
    """Keep a secret of the installation; the first writer wins and its value is returned."""
    found = platform_secret(name)
    if found is not None:
        return found
    with transaction.atomic():
        sealed = seal_secret(
            table="vault_platformsecret", row_id=name, field="sealed", plaintext=plaintext
        )
        row, is_made = PlatformSecret.objects.get_or_create(
            name=name, defaults={"sealed": sealed, "created_at": at}
        )
        if not is_made and not row.sealed:  # one that was forgotten may be kept anew
            PlatformSecret.objects.filter(name=name, sealed=b"").update(sealed=sealed)
            row.refresh_from_db()
        return _opened(row)


def platform_secret(name: str) -> bytes | None:
    """A secret of the installation, or None when there is none (or it was emptied, to forget it).

    The caller audits what it does with it.
    """
    row = PlatformSecret.objects.filter(name=name).first()
    return _opened(row) if row and row.sealed else None


def is_under_master(known: SealedField, sealed: bytes) -> bool:
    """Of the first form: sealed by a master key itself, before the installation had a data key."""
    return (
        known == sealed_field("vault_platformsecret", "sealed") and parts_of(sealed).key_id is None
    )


def open_under_master(name: str, sealed: bytes) -> bytes:
    """What such a ciphertext holds. Raises SecretUnreadable."""
    return open_with_master(sealed, None, place("platform", name))


def _opened(row: PlatformSecret) -> bytes:
    sealed = bytes(row.sealed)
    if is_under_master(sealed_field("vault_platformsecret", "sealed"), sealed):
        return open_under_master(row.name, sealed)
    return open_platform_field(row=row, field="sealed")
