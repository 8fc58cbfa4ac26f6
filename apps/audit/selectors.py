"""Reading the audit log."""

from apps.audit.chain import Link, first_fault
from apps.audit.models import Record


def verify_tenant_chain() -> int | None:
    """The first sequence at which the current tenant's chain was tampered with; None if it holds."""
    return first_fault(
        Link(
            sequence=row.sequence,
            at=row.at,
            action=row.action,
            actor=row.actor,
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            detail=row.detail,
            previous=bytes(row.previous),
            digest=bytes(row.digest),
        )
        for row in Record.objects.order_by("sequence").iterator(chunk_size=1000)
    )
