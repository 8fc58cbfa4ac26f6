"""Who owns a row, and the walls between owners: context, row-level security, composite keys."""

from apps.tenancy.context import acting_in, current_tenant_id

__all__ = ["acting_in", "current_tenant_id"]
