"""Tenants and their isolation: context, row-level security, composite foreign keys."""

from apps.tenancy.context import acting_in, current_tenant_id

__all__ = ["acting_in", "current_tenant_id"]
