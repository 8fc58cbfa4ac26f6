"""The due table: one row per unit of work with the time at which its task must run.

Periodic kinds are rescheduled when they are taken. One-shot kinds are postponed by a lease when they are
taken and deleted only when their task calls ``finish``: if a worker dies, another one gets the work.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import connection, transaction

from apps.events import jobs
from apps.events.models import Due

ONE_SHOT_LEASE = timedelta(seconds=10)
BATCH = 200


@dataclass(frozen=True)
class Kind:
    """A kind of due work: the task that does it, and its period (None: one-shot)."""

    name: str
    task: str
    every: timedelta | None


_kinds: dict[str, Kind] = {}


def register(kind: str, task_name: str, *, every: timedelta | None = None) -> None:
    """Declare a kind; its task is called with ``tenant_id`` and ``ref``."""
    _kinds[kind] = Kind(kind, task_name, every)


def kinds() -> dict[str, Kind]:
    """Every registered kind by name."""
    return dict(_kinds)


def schedule(kind: str, *, at: datetime, tenant_id: UUID, ref: str = "") -> None:
    """Make it due at ``at``, unless it is due earlier already.

    One statement, so that concurrent calls cannot lose an earlier time.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_due (id, kind, ref, tenant_id, next_due_at)"
            " VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (kind, ref, tenant_id) DO UPDATE"
            " SET next_due_at = least(events_due.next_due_at, excluded.next_due_at)"
            # Locks the row even when it stays as it was: ``finish`` then waits for this transaction.
            " WHERE events_due.next_due_at > excluded.next_due_at",
            [uuid4(), kind, ref, tenant_id, at],
        )


def postpone(kind: str, *, at: datetime, tenant_id: UUID, ref: str = "") -> None:
    """Set the time, even to a later one: for a task that knows when it must run next."""
    Due.objects.update_or_create(
        kind=kind, ref=ref, tenant_id=tenant_id, defaults={"next_due_at": at}
    )


def finish(kind: str, *, tenant_id: UUID, ref: str = "") -> None:
    """Delete the row. Call it first, then check for work and ``schedule`` again if there is any:
    this waits for concurrent transactions that scheduled, so the check sees their work."""
    Due.objects.filter(kind=kind, ref=ref, tenant_id=tenant_id).delete()


def run_due(*, at: datetime) -> int:
    """Take due rows, reschedule them, send their tasks; returns the number of rows.

    May run concurrently: rows are taken with SKIP LOCKED.
    """
    due_rows: list[tuple[Kind, Due]] = []
    with transaction.atomic():
        rows = (
            Due.objects.select_for_update(skip_locked=True)
            .filter(next_due_at__lte=at, kind__in=_kinds)
            .order_by("next_due_at")[:BATCH]
        )
        for row in rows:
            kind = _kinds[row.kind]
            row.next_due_at = _next(kind, row.next_due_at, at)
            row.save(update_fields=["next_due_at"])
            due_rows.append((kind, row))
    for kind, row in due_rows:
        jobs.send(kind.task, tenant_id=str(row.tenant_id), ref=row.ref)
    return len(due_rows)


def _next(kind: Kind, previous: datetime, at: datetime) -> datetime:
    if kind.every is None:
        return at + ONE_SHOT_LEASE
    # Keeps the period and skips runs that were missed while nothing ran.
    return max(previous + kind.every, at + kind.every / 2)
