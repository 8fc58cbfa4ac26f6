"""Secrets of the installation: sealed by its own data key, outside any tenant."""

from datetime import datetime

from django.db import transaction

from apps.vault.envelope import encode_associated_data, parse_ciphertext
from apps.vault.models import PlatformSecret
from apps.vault.registry import SealedField, sealed_field
from apps.vault.services.master_keys import open_with_master
from apps.vault.services.sealing import open_platform_field, seal_secret


def store_platform_secret(*, name: str, plaintext: bytes, at: datetime) -> bytes:
    """Store a secret of the installation; the first writer wins and its value is returned."""
    existing = platform_secret(name)
    if existing is not None:
        return existing
    with transaction.atomic():
        sealed = seal_secret(
            table="vault_platformsecret", row_id=name, field="sealed", plaintext=plaintext
        )
        row, is_created = PlatformSecret.objects.get_or_create(
            name=name, defaults={"sealed_value": sealed, "created_at": at}
        )
        if not is_created and not row.sealed_value:  # an emptied secret may be stored again
            PlatformSecret.objects.filter(name=name, sealed_value=b"").update(sealed_value=sealed)
            row.refresh_from_db()
        return _open(row)


def platform_secret(name: str) -> bytes | None:
    """A secret of the installation, or None when there is none or it was emptied.

    The caller audits its use.
    """
    row = PlatformSecret.objects.filter(name=name).first()
    return _open(row) if row and row.sealed_value else None


def is_sealed_by_master_key(spec: SealedField, sealed: bytes) -> bool:
    """Of the first format: sealed by a master key itself, before the installation had a data key."""
    return (
        spec == sealed_field("vault_platformsecret", "sealed")
        and parse_ciphertext(sealed).key_id is None
    )


def open_legacy_platform_secret(name: str, sealed: bytes) -> bytes:
    """Open such a ciphertext. Raises SecretUnreadable."""
    return open_with_master(sealed, None, encode_associated_data("platform", name))


def _open(row: PlatformSecret) -> bytes:
    sealed = bytes(row.sealed_value)
    if is_sealed_by_master_key(sealed_field("vault_platformsecret", "sealed"), sealed):
        return open_legacy_platform_secret(row.name, sealed)
    return open_platform_field(row=row, field="sealed")
