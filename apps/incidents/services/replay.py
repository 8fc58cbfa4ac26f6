"""Replay of a stored verdict, to prove that the result is the same."""

from dataclasses import dataclass

from apps.incidents.models import Revision
from apps.incidents.rca.verdict import reach_verdict
from apps.incidents.services.snapshots import load_snapshot


@dataclass(frozen=True)
class Replay:
    """The stored digest of the verdict, and the digest computed now from the same snapshot."""

    stored_digest: str
    computed_digest: str

    @property
    def is_same(self) -> bool:
        return self.stored_digest == self.computed_digest


def replay_revision(revision: Revision) -> Replay:
    """Compute the verdict again from its snapshot. Writes nothing."""
    stored = revision.snapshot
    verdict = reach_verdict(load_snapshot(stored))
    return Replay(stored_digest=stored.verdict_digest, computed_digest=verdict.digest)
