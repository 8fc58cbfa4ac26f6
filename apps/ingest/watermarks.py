"""Which batches of a stream were accepted: constant memory, however late a retry is. Pure.

A stream is one (agent, boot). ``high`` is the sequence up to which every batch was accepted or dropped; ``ahead`` is
the small set of accepted sequences beyond it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

WINDOW = 1024
# Further than any agent gets while the server is restored from a backup: months at a batch a second.
MAX_JUMP = 2**24


class SequenceStatus(StrEnum):
    """Classification of a sequence number."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_FAR = "too_far"


@dataclass(frozen=True)
class Watermark:
    """The watermark of one stream; every operation returns a new one.

    ``skipped`` counts the sequences that the window moved past without a tombstone: a batch that far ahead of a gap
    shows that the gap will not be filled (as after restoring the server from a backup).
    """

    high: int = 0
    ahead: frozenset[int] = field(default_factory=frozenset)
    skipped: int = 0

    def classify(self, sequence: int) -> SequenceStatus:
        """Whether this batch is new, was accepted or dropped before, or is too far ahead."""
        if sequence <= self.high or sequence in self.ahead:
            return SequenceStatus.DUPLICATE
        return SequenceStatus.NEW if sequence <= self.high + MAX_JUMP else SequenceStatus.TOO_FAR

    def accept(self, sequence: int) -> "Watermark":
        """The watermark after this batch."""
        return self._advance(self.high, self.ahead | {sequence})

    def skip(self, first: int, last: int) -> "Watermark":
        """The watermark after a tombstone: the agent dropped these sequences because its buffer was full.

        A range beyond the watermark is recorded as far as the window reaches.
        """
        if last <= self.high:
            return self
        if first <= self.high + 1:
            return self._advance(last, self.ahead)
        known = range(first, min(last, self.high + WINDOW) + 1)
        return self._advance(self.high, self.ahead.union(known))

    def _advance(self, high: int, ahead: frozenset[int]) -> "Watermark":
        skipped = self.skipped
        floor = max(ahead, default=0) - WINDOW
        if floor > high:
            skipped += floor - high - sum(high < sequence <= floor for sequence in ahead)
            high = floor
        while high + 1 in ahead:
            high += 1
        return Watermark(
            high, frozenset(sequence for sequence in ahead if sequence > high), skipped
        )
