"""Carrying a data key's rotation on: in the background, or by a command that waits for it."""

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
    inside,
    is_under_way,
    retire_earlier_keys,
    sweep,
)

RESEAL = "vault.reseal"
#: Below the task's soft limit of 40 s.
BUDGET_SECONDS = 20.0
#: Rows that others hold, or that nobody can open, are looked at again.
AGAIN = timedelta(seconds=30)
BETWEEN_SWEEPS_SECONDS = 0.05


def start_rotation(*, tenant_id: UUID, actor: ActorLike, at: datetime) -> int:
    """Begin to rotate a tenant's data key; workers do the rest. Returns the version that seals now. Idempotent."""
    with inside(tenant_id):
        version = begin_rotation(tenant_id=tenant_id, actor=actor, at=at)
        due.schedule(RESEAL, at=at, tenant_id=tenant_id)
        jobs.enqueue(RESEAL, tenant_id=str(tenant_id), ref="")
    return version


def continue_rotation(*, tenant_id: UUID, actor: ActorLike, at: datetime) -> None:
    """Work on a tenant's rotation for a while, and say when to look again. Idempotent; several may run at once."""
    stop_at = time.monotonic() + BUDGET_SECONDS
    done = sweep(tenant_id=tenant_id, keep_on=lambda: time.monotonic() < stop_at)
    if not done.left:
        retire_earlier_keys(tenant_id=tenant_id, actor=actor, at=at)
    with inside(tenant_id):
        due.finish(RESEAL, tenant_id=tenant_id)
        if is_under_way(tenant_id=tenant_id):
            wait = timedelta(0) if done.left > done.unreadable else AGAIN
            due.schedule(RESEAL, at=at + wait, tenant_id=tenant_id)


def rotate_now(
    *,
    tenant_id: UUID | None,
    actor: ActorLike,
    at: datetime,
    grace: timedelta = GRACE,
    progress: Callable[[Sweep], None] = lambda _sweep: None,
) -> tuple[int, Sweep, list[int]]:
    """Rotate and wait until everything is re-sealed: the version that seals now, the last sweep, what was retired.

    What nobody can open is left as it is, and keeps its key. Idempotent: killed, it is run again.
    """
    version = begin_rotation(tenant_id=tenant_id, actor=actor, at=at)
    if tenant_id is not None:
        with inside(tenant_id):
            due.schedule(RESEAL, at=at + AGAIN, tenant_id=tenant_id)
    while True:
        done = sweep(tenant_id=tenant_id)
        progress(done)
        if done.left <= done.unreadable:
            break
        time.sleep(BETWEEN_SWEEPS_SECONDS)
    retired = retire_earlier_keys(tenant_id=tenant_id, actor=actor, at=at, grace=grace)
    return version, done, retired
