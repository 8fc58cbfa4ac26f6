"""Which batches of a stream have been taken in: constant memory for any age of retry. Pure.

A stream is one (agent, boot). ``high`` is the sequence up to which everything is in (or was given up); ``ahead`` is
the small set beyond it that came early.
"""

from dataclasses import dataclass, field
from enum import StrEnum

WINDOW = 1024
# Further ahead than any agent gets while the server is restored from a backup: months at a batch a second.
MAX_JUMP = 2**24


class Verdict(StrEnum):
    """What to do with a sequence number."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_FAR = "too_far"


@dataclass(frozen=True)
class Mark:
    """The watermark of one stream; every operation answers a new one.

    ``skipped`` counts the sequences that the window slid past without a tombstone: a batch that far ahead of a gap
    shows that the gap will not be filled (a server restored from a backup sees one).
    """

    high: int = 0
    ahead: frozenset[int] = field(default_factory=frozenset)
    skipped: int = 0

    def judge(self, sequence: int) -> Verdict:
        """Whether this batch is new, was taken in (or given up) before, or is absurdly far ahead."""
        if sequence <= self.high or sequence in self.ahead:
            return Verdict.DUPLICATE
        return Verdict.NEW if sequence <= self.high + MAX_JUMP else Verdict.TOO_FAR

    def take(self, sequence: int) -> "Mark":
        """The mark after this batch."""
        return self._settle(self.high, self.ahead | {sequence})

    def give_up(self, first: int, last: int) -> "Mark":
        """The mark after a tombstone: the agent's full buffer dropped these, they will never come.

        One that does not touch what is known so far is kept in mind as far as the window goes.
        """
        if last <= self.high:
            return self
        if first <= self.high + 1:
            return self._settle(last, self.ahead)
        known = range(first, min(last, self.high + WINDOW) + 1)
        return self._settle(self.high, self.ahead.union(known))

    def _settle(self, high: int, ahead: frozenset[int]) -> "Mark":
        skipped = self.skipped
        floor = max(ahead, default=0) - WINDOW
        if floor > high:
            skipped += floor - high - sum(high < sequence <= floor for sequence in ahead)
            high = floor
        while high + 1 in ahead:
            high += 1
        return Mark(high, frozenset(sequence for sequence in ahead if sequence > high), skipped)
