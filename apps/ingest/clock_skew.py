"""Skew of an agent's clock when a batch arrives: the times of the batch's items are corrected by it. Pure.

Skew is the agent's clock minus the server's, in seconds; positive is ahead. A request takes time to arrive, so that a
measurement is at most the true skew (RFC 5905 takes the sample with the least delay for the same reason): of two
measurements the larger one is the better, unless the clock was set back between them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from agent.protocol.batch import FUTURE_SECONDS
from apps.ingest.schema import Batch, EventItem, MetricItem

Item = TypeVar("Item", MetricItem, EventItem)

#: Differences up to this are transmission time: nothing is corrected, and an earlier correction stays.
TOLERANCE_SECONDS = 1.0
#: A batch that is this much further behind than the heartbeats: the clock was set back since the last one.
SET_BACK_SECONDS = 5.0


@dataclass(frozen=True)
class KnownSkew:
    """What is known of a clock before a batch arrives."""

    #: By the last heartbeats of this boot.
    by_heartbeat: float | None = None
    #: The skew that the last batch of this boot was corrected by.
    applied: float | None = None
    #: The batch is of a boot that has ended: how long it was buffered is not reliable.
    is_former_boot: bool = False


def skew_of_batch(
    *, sent_at: datetime, buffered_for: timedelta | None, at: datetime, known: KnownSkew
) -> float:
    """The skew of the clock that the batch's timestamps were taken by; 0.0 within the tolerance.

    ``buffered_for`` is None where the agent does not report it: then a batch that seems to come from a slow clock may
    as well have been buffered, and only heartbeats tell.
    """
    if known.is_former_boot and known.applied is not None:
        return known.applied
    measured = (sent_at + (buffered_for or timedelta(0)) - at).total_seconds()
    skew = _best(measured, known.by_heartbeat, is_delay_known=buffered_for is not None)
    if known.applied is not None and abs(skew - known.applied) <= TOLERANCE_SECONDS:
        return known.applied
    return 0.0 if abs(skew) <= TOLERANCE_SECONDS else skew


def _best(measured: float, by_heartbeat: float | None, *, is_delay_known: bool) -> float:
    if by_heartbeat is None:
        return measured if is_delay_known else max(measured, 0.0)
    if is_delay_known and measured < by_heartbeat - SET_BACK_SECONDS:
        return measured
    return max(measured, by_heartbeat)


def corrected(batch: Batch, skew: float, at: datetime) -> Batch:
    """The batch with the times of its items by the server's clock.

    An item that is ahead of its arrival nevertheless was measured on arrival at the latest, and gets that time: a
    future reading must not hide the next ones. One beyond the limit for items keeps its time, and is rejected.
    """
    latest = at + timedelta(seconds=TOLERANCE_SECONDS)
    is_past = all(item.ts <= latest for item in batch.metrics) and all(
        item.ts <= latest for item in batch.events
    )
    if not skew and is_past:
        return batch
    return msgspec.structs.replace(
        batch,
        metrics=[_corrected_item(item, skew, at) for item in batch.metrics],
        events=[_corrected_item(item, skew, at) for item in batch.events],
    )


def _corrected_item(item: Item, skew: float, at: datetime) -> Item:
    try:
        ts = item.ts - timedelta(seconds=skew)
    except OverflowError:  # close to year 1 or 9999
        return item
    ahead = (ts - at).total_seconds()
    if TOLERANCE_SECONDS < ahead <= FUTURE_SECONDS:
        ts = at
    return msgspec.structs.replace(item, ts=ts)
