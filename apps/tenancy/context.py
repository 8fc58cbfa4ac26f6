"""The tenant of the current transaction.

A transaction sees the rows of the tenant named by the setting ``ispvm.tenant_id`` and no others; the
setting is local to the transaction, so it is safe behind pgbouncer in transaction mode. It guards against
forgotten filters and logic errors, not against injected SQL, which could set it too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol
from uuid import UUID

from django.db import connection, transaction

TENANT_SETTING = "ispvm.tenant_id"

_current: ContextVar[UUID | None] = ContextVar("tenant_id", default=None)


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


def current_tenant_id() -> UUID | None:
    """The tenant this code acts in, or None outside ``acting_in``."""
    return _current.get()


def require_tenant_id() -> UUID:
    """The tenant this code acts in; a programming error outside ``acting_in``."""
    tenant_id = _current.get()
    if tenant_id is None:
        raise RuntimeError("This code must run inside tenancy.acting_in(tenant).")
    return tenant_id


@contextmanager
def acting_in(tenant: HasId | UUID | str, *, seconds: int | None = None) -> Iterator[UUID]:
    """Open a transaction that sees exactly this tenant's rows. Never hold it over network I/O.

    ``seconds``: ``statement_timeout`` of the transaction, if lower than the role's.
    """
    tenant_id = _as_id(tenant)
    outer = _current.get()
    nested = connection.in_atomic_block
    with transaction.atomic():
        _set(tenant_id, seconds)
        token = _current.set(tenant_id)
        try:
            yield tenant_id
        finally:
            _current.reset(token)
        # A released savepoint keeps the inner setting, only the outermost COMMIT clears it.
        # (A savepoint that is rolled back, after an error, restores the outer one by itself.)
        if nested and not connection.needs_rollback:
            _set(outer)


def _as_id(tenant: HasId | UUID | str) -> UUID:
    if isinstance(tenant, UUID):
        return tenant
    return UUID(tenant) if isinstance(tenant, str) else tenant.id


def _set(tenant_id: UUID | None, seconds: int | None = None) -> None:
    settings = {TENANT_SETTING: str(tenant_id) if tenant_id else ""}
    if seconds is not None:
        settings["statement_timeout"] = f"{seconds}s"
    columns = ", ".join(["set_config(%s, %s, true)"] * len(settings))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns}", [part for pair in settings.items() for part in pair])
