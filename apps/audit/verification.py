"""Verification of a chain against its head, a bounded number of records at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection

from apps.audit.chain import GENESIS, ChainedRecord, Checkpoint, Fault, fault_of
from apps.audit.models import Head, PlatformHead, PlatformRecord, Record

#: Records per step: below a second and a few megabytes.
STEP = 5_000
CHUNK = 500

_HEAD = (
    "SELECT coalesce((SELECT sequence FROM {head}), 0), (SELECT digest FROM {head}),"
    " coalesce((SELECT max(sequence) FROM {record}), 0)"
)


@dataclass(frozen=True)
class Chain:
    """The tables of a chain. Row-level security limits tenant tables to the current tenant."""

    record: type[Record] | type[PlatformRecord]
    head: type[Head] | type[PlatformHead]


TENANT_CHAIN = Chain(Record, Head)
PLATFORM_CHAIN = Chain(PlatformRecord, PlatformHead)


class State(StrEnum):
    """The state of a chain after a step."""

    INTACT = "intact"
    BROKEN = "broken"
    IN_PROGRESS = "in_progress"


@dataclass(frozen=True)
class Step:
    """The result of a step; the next one begins after ``position``."""

    state: State
    position: Checkpoint
    head: Checkpoint
    first_bad: int | None = None
    fault: Fault | None = None


def verify_step(
    chain: Chain = TENANT_CHAIN,
    *,
    after: Checkpoint = Checkpoint(),  # noqa: B008  (immutable)
    known_heads: Sequence[Checkpoint] = (),
    limit: int | None = None,
) -> Step:
    """Check at most ``limit`` records (``STEP``) after a checkpoint. A bounded number of queries.

    ``known_heads`` were saved outside of the database: with them a truncated or rewritten chain is detected even if
    its stored head was changed too.
    """
    limit = limit or STEP
    head, last = _head_of(chain)
    for known in known_heads:
        if (fault := _known_head_fault(chain, known, last)) is not None:
            first_bad = last + 1 if fault is Fault.CUT else known.sequence
            return Step(State.BROKEN, after, head, first_bad, fault)
    position = after
    for record in _records(chain, after=after.sequence, up_to=head.sequence, limit=limit):
        if (fault := fault_of(record, position)) is not None:
            return Step(State.BROKEN, position, head, position.sequence + 1, fault)
        position = Checkpoint(record.sequence, record.digest)
    is_full = position.sequence - after.sequence >= limit
    if is_full and position.sequence < head.sequence:
        return Step(State.IN_PROGRESS, position, head)
    return _end(position, head, last)


def verify_chain(
    chain: Chain = TENANT_CHAIN, *, known_heads: Sequence[Checkpoint] = ()
) -> Iterator[Step]:
    """Verify step by step up to the end of the chain or its first fault."""
    step = verify_step(chain, known_heads=known_heads)
    yield step
    while step.state is State.IN_PROGRESS:
        step = verify_step(chain, after=step.position, known_heads=known_heads)
        yield step


def verify_tenant_chain() -> int | None:
    """The first sequence at which the current tenant's chain is broken; None if it is intact."""
    *_, last = verify_chain(TENANT_CHAIN)
    return last.first_bad


def _end(position: Checkpoint, head: Checkpoint, last: int) -> Step:
    if position.sequence < head.sequence:
        return Step(State.BROKEN, position, head, position.sequence + 1, Fault.CUT)
    if last > head.sequence:
        return Step(State.BROKEN, position, head, head.sequence + 1, Fault.BEYOND_HEAD)
    if position != head:
        return Step(State.BROKEN, position, head, head.sequence, Fault.HEAD_DIFFERS)
    return Step(State.INTACT, position, head)


def _head_of(chain: Chain) -> tuple[Checkpoint, int]:
    """The head and the last record's sequence, read in one statement: records may be added concurrently."""
    tables = {
        "head": chain.head._meta.db_table,
        "record": chain.record._meta.db_table,
    }
    with connection.cursor() as cursor:
        cursor.execute(_HEAD.format(**tables))
        sequence, digest, last = cursor.fetchone()
    return Checkpoint(sequence, GENESIS if digest is None else bytes(digest)), last


def _known_head_fault(chain: Chain, known: Checkpoint, last: int) -> Fault | None:
    if known.sequence > last:
        return Fault.CUT
    row = chain.record._default_manager.filter(sequence=known.sequence).only("digest").first()
    if row is None:
        return Fault.MISSING
    return None if bytes(row.digest) == known.digest else Fault.HEAD_DIFFERS


def _records(chain: Chain, *, after: int, up_to: int, limit: int) -> Iterator[ChainedRecord]:
    rows = chain.record._default_manager.filter(sequence__gt=after, sequence__lte=up_to)
    for row in rows.order_by("sequence")[:limit].iterator(chunk_size=CHUNK):
        yield ChainedRecord(
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
