"""Daily background verification of every tenant's chain."""

from collections.abc import Callable
from datetime import datetime
from operator import add
from uuid import UUID

import structlog

from apps.audit.chain import GENESIS, Checkpoint
from apps.audit.models import Verification
from apps.audit.services import VERIFY
from apps.audit.verification import State, Step, verify_step
from apps.events import due
from apps.events.backlog import age
from apps.events.gauges import Gauge, GaugeValues
from apps.tenancy import acting_in

log = structlog.get_logger(__name__)

#: Below the task's soft limit of 40 s.
BUDGET_SECONDS = 20.0
STATE = (
    Gauge("ispvm_audit_chains_broken", "Tenants with a broken audit chain.", combine=add),
    Gauge("ispvm_audit_verified_age_seconds", "Age of the oldest tenant's last verification."),
)


def request_verification(*, tenant_id: UUID, at: datetime) -> None:
    """Schedule a verification of the current tenant's chain. Idempotent."""
    due.schedule(VERIFY, at=at, tenant_id=tenant_id)


def continue_verification(
    *, tenant_id: UUID, at: datetime, may_continue: Callable[[], bool]
) -> Step | None:
    """Verify step by step while ``may_continue`` returns True, then schedule the rest; returns the last step.

    Idempotent. May run concurrently: the second call finds the row locked and returns None.
    """
    step = None
    while step is None or step.state is State.IN_PROGRESS:
        if step is not None and not may_continue():
            due.schedule(VERIFY, at=at, tenant_id=tenant_id)
            break
        with acting_in(tenant_id):
            row = _lock_row(tenant_id)
            if row is None:
                return None
            after = Checkpoint(row.position, bytes(row.position_digest))
            step = verify_step(after=after)
            _save(row, step, at)
    return step


def read_verification(at: datetime) -> GaugeValues:
    """Values of the current tenant."""
    row = Verification.objects.first()
    return {
        ("ispvm_audit_chains_broken",): float(row is not None and row.first_bad is not None),
        ("ispvm_audit_verified_age_seconds",): age(row.finished_at if row else None, at),
    }


def _lock_row(tenant_id: UUID) -> Verification | None:
    blank = Verification(tenant_id=tenant_id, position_digest=GENESIS)
    Verification.objects.bulk_create([blank], ignore_conflicts=True)
    return Verification.objects.select_for_update(skip_locked=True).first()


def _save(row: Verification, step: Step, at: datetime) -> None:
    if step.state is State.IN_PROGRESS:
        row.position, row.position_digest = step.position.sequence, step.position.digest
        row.save(update_fields=["position", "position_digest"])
        return
    row.position, row.position_digest = 0, GENESIS
    row.finished_at, row.verified_to = at, step.position.sequence
    row.first_bad, row.fault = step.first_bad, step.fault or ""
    row.save()
    if step.state is State.BROKEN:
        log.error(
            "audit_chain_broken",
            tenant_id=str(row.tenant_id),
            first_bad=step.first_bad,
            fault=str(step.fault),
        )
