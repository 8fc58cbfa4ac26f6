"""Counts of keys and secrets: for an operator around a rotation and before a backup."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count

from apps.vault.envelope import FORMAT, parse_ciphertext
from apps.vault.errors import SecretUnreadable
from apps.vault.models import MasterKey
from apps.vault.registry import KeyScope, SealedField, sealed_fields
from apps.vault.services.data_keys import DataKey, live_keys
from apps.vault.services.reseal import open_any, scope_for, sealed_rows, tenant_context


@dataclass(frozen=True)
class KeyState:
    """A version of a data key and what is sealed under it."""

    version: int
    master_key: str
    secrets: int
    is_sealing: bool


@dataclass(frozen=True)
class VaultState:
    """One owner's part of the vault."""

    keys: tuple[KeyState, ...]
    secrets: int
    #: Ciphertexts without a live key; with ``open_all``, those that could not be opened.
    unreadable: int


def all_master_keys() -> list[MasterKey]:
    """Every master key that this database was ever sealed with, oldest first."""
    return list(MasterKey.objects.order_by("created_at", "key_id"))


def vault_state(tenant_id: UUID | None, *, open_all: bool = False) -> VaultState:
    """A tenant's part of the vault (None: the installation's). ``open_all`` opens every secret to check it."""
    scope = scope_for(tenant_id)
    with tenant_context(tenant_id):
        counts: dict[int, int] = {}
        for field in sealed_fields(scope):
            for header, number in (
                sealed_rows(field).values_list("sealed_header").annotate(Count("pk")).order_by()
            ):
                version = _version_in(bytes(header))
                counts[version] = counts.get(version, 0) + number
        rows = list(live_keys(scope))
        known = {row.version for row in rows}
        # The installation's secrets in the first format are under the master key itself.
        known |= {1} if scope is KeyScope.PLATFORM else set()
        unreadable = sum(number for version, number in counts.items() if version not in known)
        if open_all:
            unreadable = sum(_unreadable(field) for field in sealed_fields(scope))
        return VaultState(
            keys=tuple(
                KeyState(
                    row.version,
                    (parse_ciphertext(bytes(row.wrapped_key)).key_id or b"").hex(),
                    counts.get(row.version, 0),
                    is_sealing=row.version == rows[-1].version,
                )
                for row in rows
            ),
            secrets=sum(counts.values()),
            unreadable=unreadable,
        )


def _version_in(header: bytes) -> int:
    return int.from_bytes(header[1:], "big") if header[:1] == FORMAT else 1


def _unreadable(field: SealedField) -> int:
    count = 0
    keys: dict[int, DataKey] = {}
    for pk, sealed in sealed_rows(field).values_list("pk", field.column).iterator(500):
        try:
            open_any(field, pk, bytes(sealed), keys)
        except SecretUnreadable:
            count += 1
    return count
