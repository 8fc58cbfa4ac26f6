"""Replay of a stored verdict, to prove that the result is the same."""

from dataclasses import dataclass

from apps.incidents.models import Revision
from apps.incidents.rca.verdict import reach_verdict
from apps.incidents.services.snapshots import load_snapshot


@dataclass(frozen=True)
class Replay:
    """The stored digest of the verdict, and the digest computed now from the same snapshot."""

    then: str
    now: str

    @property
    def is_same(self) -> bool:
        return self.then == self.now


def replay_revision(revision: Revision) -> Replay:
    """Compute the verdict again from its snapshot. Writes nothing."""
    stored = revision.snapshot
    return Replay(then=stored.verdict_digest, now=reach_verdict(load_snapshot(stored)).digest)
