"""The tenant of a row, and foreign keys between tenant tables."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import models

from apps.tenancy.context import current_tenant_id


class TenantField(models.ForeignKey):  # type: ignore[type-arg]  # generic only for checkers
    """The tenant that owns a row: unless given, the one of ``acting_in``. A plain foreign key in migrations."""

    def get_default(self) -> UUID | None:
        return current_tenant_id()

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class TenantForeignKey(models.ForeignKey):  # type: ignore[type-arg]  # generic only for checkers
    """A foreign key enforced by a composite ``(tenant_id, id)`` constraint in the database.

    PostgreSQL checks plain foreign keys without row-level security, so a plain key would let a tenant
    reference (and so probe for) another tenant's row. Pair it with ``operations.CompositeForeignKey``.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)
