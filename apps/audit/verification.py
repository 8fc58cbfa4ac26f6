"""Verification of a chain against its head, a bounded number of records at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection

from apps.audit.chain import GENESIS, Checkpoint, Fault, Link, fault_of
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
    """The result of a step; the next one begins after ``reached``."""

    state: State
    reached: Checkpoint
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
        if (fault := _differs(chain, known, last)) is not None:
            first_bad = last + 1 if fault is Fault.CUT else known.sequence
            return Step(State.BROKEN, after, head, first_bad, fault)
    reached = after
    for link in _links(chain, after=after.sequence, upto=head.sequence, limit=limit):
        if (fault := fault_of(link, reached)) is not None:
            return Step(State.BROKEN, reached, head, reached.sequence + 1, fault)
        reached = Checkpoint(link.sequence, link.digest)
    is_full = reached.sequence - after.sequence >= limit
    if is_full and reached.sequence < head.sequence:
        return Step(State.IN_PROGRESS, reached, head)
    return _end(reached, head, last)


def verify_chain(
    chain: Chain = TENANT_CHAIN, *, known_heads: Sequence[Checkpoint] = ()
) -> Iterator[Step]:
    """Verify step by step up to the end of the chain or its first fault."""
    step = verify_step(chain, known_heads=known_heads)
    yield step
    while step.state is State.IN_PROGRESS:
        step = verify_step(chain, after=step.reached, known_heads=known_heads)
        yield step


def _end(reached: Checkpoint, head: Checkpoint, last: int) -> Step:
    if reached.sequence < head.sequence:
        return Step(State.BROKEN, reached, head, reached.sequence + 1, Fault.CUT)
    if last > head.sequence:
        return Step(State.BROKEN, reached, head, head.sequence + 1, Fault.BEYOND_HEAD)
    if reached != head:
        return Step(State.BROKEN, reached, head, head.sequence, Fault.HEAD_DIFFERS)
    return Step(State.INTACT, reached, head)


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


def _differs(chain: Chain, known: Checkpoint, last: int) -> Fault | None:
    if known.sequence > last:
        return Fault.CUT
    row = chain.record._default_manager.filter(sequence=known.sequence).only("digest").first()
    if row is None:
        return Fault.MISSING
    return None if bytes(row.digest) == known.digest else Fault.HEAD_DIFFERS


def _links(chain: Chain, *, after: int, upto: int, limit: int) -> Iterator[Link]:
    rows = chain.record._default_manager.filter(sequence__gt=after, sequence__lte=upto)
    for row in rows.order_by("sequence")[:limit].iterator(chunk_size=CHUNK):
        yield Link(
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
