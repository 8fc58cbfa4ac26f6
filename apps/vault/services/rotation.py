"""Running a data key rotation: in the background, or by a command that waits for it."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from apps.audit.services import ActorLike
from apps.events import due, jobs
from apps.vault.services.reseal import (
    GRACE,
    Sweep,
    begin_rotation,
    is_rotation_in_progress,
    retire_earlier_keys,
    sweep,
    tenant_context,
)

RESEAL = "vault.reseal"
#: Below the task's soft time limit of 40 s.
TIME_BUDGET_SECONDS = 20.0
#: Retry for rows that are locked or cannot be opened.
RETRY_DELAY = timedelta(seconds=30)
BETWEEN_SWEEPS_SECONDS = 0.05


def start_rotation(*, tenant_id: UUID, actor: ActorLike, at: datetime) -> int:
    """Begin to rotate a tenant's data key; workers do the rest. Returns the version that seals now. Idempotent."""
    with tenant_context(tenant_id):
        version = begin_rotation(tenant_id=tenant_id, actor=actor, at=at)
        due.schedule(RESEAL, at=at, tenant_id=tenant_id)
        jobs.enqueue(RESEAL, tenant_id=str(tenant_id), ref="")
    return version


def continue_rotation(*, tenant_id: UUID, actor: ActorLike, at: datetime) -> None:
    """Work on a tenant's rotation within the time budget and reschedule if needed. Idempotent; may run concurrently."""
    stop_at = time.monotonic() + TIME_BUDGET_SECONDS
    result = sweep(tenant_id=tenant_id, should_continue=lambda: time.monotonic() < stop_at)
    if not result.remaining:
        retire_earlier_keys(tenant_id=tenant_id, actor=actor, at=at)
    with tenant_context(tenant_id):
        due.finish(RESEAL, tenant_id=tenant_id)
        if is_rotation_in_progress(tenant_id=tenant_id):
            wait = timedelta(0) if result.remaining > result.unreadable else RETRY_DELAY
            due.schedule(RESEAL, at=at + wait, tenant_id=tenant_id)


def rotate_now(
    *,
    tenant_id: UUID | None,
    actor: ActorLike,
    at: datetime,
    grace: timedelta = GRACE,
    progress: Callable[[Sweep], None] = lambda _sweep: None,
) -> tuple[int, Sweep, list[int]]:
    """Rotate and wait until everything is re-sealed. Returns the new version, the last sweep, the retired versions.

    Unreadable ciphertexts are left unchanged, and keep their key live. Idempotent: after a crash run it again.
    """
    version = begin_rotation(tenant_id=tenant_id, actor=actor, at=at)
    if tenant_id is not None:
        with tenant_context(tenant_id):
            due.schedule(RESEAL, at=at + RETRY_DELAY, tenant_id=tenant_id)
    while True:
        result = sweep(tenant_id=tenant_id)
        progress(result)
        if result.remaining <= result.unreadable:
            break
        time.sleep(BETWEEN_SWEEPS_SECONDS)
    retired = retire_earlier_keys(tenant_id=tenant_id, actor=actor, at=at, grace=grace)
    return version, result, retired
