"""Reaching a stored verdict again, to show that it says the same."""

from dataclasses import dataclass

from apps.incidents.models import Revision
from apps.incidents.rca.verdict import reach_verdict
from apps.incidents.services.snapshots import read_snapshot


@dataclass(frozen=True)
class Replay:
    """The digest of the verdict as it was given, and as it is reached now from the same snapshot."""

    then: str
    now: str

    @property
    def is_same(self) -> bool:
        return self.then == self.now


def replay_revision(revision: Revision) -> Replay:
    """Run the verdict again over what it was made of. Writes nothing."""
    stored = revision.snapshot
    return Replay(then=stored.verdict_digest, now=reach_verdict(read_snapshot(stored)).digest)
