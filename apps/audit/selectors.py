"""Queries of the audit log."""

from apps.audit.verification import TENANT_CHAIN, verify_chain


def verify_tenant_chain() -> int | None:
    """The first sequence at which the current tenant's chain is broken; None if it is intact."""
    *_, last = verify_chain(TENANT_CHAIN)
    return last.first_bad
