"""Leases: the right to open secrets for one purpose, audited when it begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from apps.audit.services import ActorLike, record
from apps.tenancy.context import require_tenant_id
from apps.vault.choices import Purpose
from apps.vault.services.data_keys import DataKey


@dataclass(frozen=True)
class Lease:
    """The right to open secrets of one tenant for one purpose. Created only by ``take_lease``."""

    tenant_id: UUID
    purpose: Purpose
    #: Cache of data keys, so that many secrets cost one query.
    keys: dict[int, DataKey] = field(default_factory=dict, repr=False, compare=False)


def take_lease(
    *,
    purpose: Purpose,
    holder: tuple[str, object],
    terms: str,
    actor: ActorLike,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> Lease:
    """Take a lease; audited only when the holder's ``terms`` changed, so that repeated polls write no record.

    One upsert decides who was first, so that two workers write one record. Call it after every other lock is taken.
    """
    tenant_id = require_tenant_id()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO vault_secretlease"
            " (id, tenant_id, purpose, holder_type, holder_id, terms, leased_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (tenant_id, purpose, holder_type, holder_id)"
            " DO UPDATE SET terms = excluded.terms, leased_at = excluded.leased_at"
            " WHERE vault_secretlease.terms <> excluded.terms RETURNING id",
            [uuid4(), tenant_id, str(purpose), holder[0], str(holder[1]), terms, at],
        )
        is_new = cursor.fetchone() is not None
    if is_new:
        record(
            action="credentials.leased",
            actor=actor,
            entity=holder,
            at=at,
            detail={"purpose": str(purpose), **(detail or {})},
        )
    return Lease(tenant_id, purpose)
