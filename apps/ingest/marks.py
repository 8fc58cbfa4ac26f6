"""Which batches of a stream have been taken in: constant memory for any age of retry. Pure.

A stream is one (agent, boot). ``high`` is the sequence up to which everything is in (or was given up); ``ahead`` is
the small set beyond it that came early.
"""

from dataclasses import dataclass, field
from enum import StrEnum

WINDOW = 1024


class Verdict(StrEnum):
    """What to do with a sequence number."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_FAR = "too_far"


@dataclass(frozen=True)
class Mark:
    """The watermark of one stream; every operation answers a new one."""

    high: int = 0
    ahead: frozenset[int] = field(default_factory=frozenset)

    def judge(self, sequence: int) -> Verdict:
        """Whether this batch is new, was taken in before, or is too far ahead to remember."""
        if sequence <= self.high or sequence in self.ahead:
            return Verdict.DUPLICATE
        return Verdict.NEW if sequence <= self.high + WINDOW else Verdict.TOO_FAR

    def take(self, sequence: int) -> "Mark":
        """The mark after this batch."""
        return self._settle(self.high, self.ahead | {sequence})

    def give_up(self, first: int, last: int) -> "Mark":
        """The mark after a tombstone: the agent's full buffer dropped these, they will never come.

        A tombstone that does not touch what is known so far is kept in mind as far as the window goes.
        """
        if last <= self.high:
            return self
        if first <= self.high + 1:
            return self._settle(last, self.ahead)
        known = frozenset(range(first, min(last, self.high + WINDOW) + 1))
        return self._settle(self.high, self.ahead | known)

    @staticmethod
    def _settle(high: int, ahead: frozenset[int]) -> "Mark":
        while high + 1 in ahead:
            high += 1
        return Mark(high, frozenset(sequence for sequence in ahead if sequence > high))
