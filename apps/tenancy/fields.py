"""Foreign keys between tenant tables."""

from typing import Any

from django.db import models


class TenantForeignKey(models.ForeignKey):  # type: ignore[type-arg]  # generic only for checkers
    """A foreign key enforced by a composite ``(tenant_id, id)`` constraint in the database.

    PostgreSQL checks plain foreign keys without row-level security, so a plain key would let a tenant
    reference (and so probe for) another tenant's row. Pair it with ``operations.CompositeForeignKey``.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)
