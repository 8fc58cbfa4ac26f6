"""The history of failures, never two at once in the same part of the network. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid5

from apps.lab.seed.branches import Branch, branches_of
from apps.lab.seed.failures import Failure, Sign, draw_failure
from apps.lab.seed.network import Network

#: Open failures began within this period.
OPEN_WITHIN = timedelta(hours=7)
YOUNGEST, SHORTEST, LONGEST = timedelta(minutes=2), timedelta(seconds=150), timedelta(hours=9)
PAUSE = timedelta(minutes=12)
#: The number of different kinds of open failures before one is used twice.
KINDS = 5
#: An alert counts as recovered after good samples for this long.
RECOVERS = timedelta(seconds=10)
RECOVERS_SLOWLY = timedelta(seconds=60)


@dataclass(frozen=True)
class Story:
    """One failure with its incident."""

    id: UUID
    number: int
    failure: Failure
    began: datetime
    ended: datetime | None

    def alert_id(self, sign: Sign) -> UUID:
        """The stable id of an alert."""
        return uuid5(self.id, f"{sign.rule}:{sign.ref[1]}")

    def fired(self, at: datetime) -> list[Sign]:
        """The signs that lasted long enough to fire."""
        until = min(self.ended or at, at)
        return [
            sign for sign in self.failure.signs if self.failure.fires_at(sign, self.began) <= until
        ]

    def cleared_at(self, sign: Sign) -> datetime | None:
        """The first good sample after a sign; None while it lasts."""
        return None if self.ended is None else self.ended + sign.delay

    def recovered_at(self, sign: Sign) -> datetime | None:
        cleared_at = self.cleared_at(sign)
        if cleared_at is None:
            return None
        return cleared_at + (RECOVERS_SLOWLY if sign.rule == "cpu_high" else RECOVERS)


def draw_stories(network: Network, seed: int, *, at: datetime) -> list[Story]:
    """The history up to ``at``, oldest first; the last ones are still open."""
    rng = Random(f"stories:{network.size.slug}:{seed}")
    size = network.size
    branches = branches_of(network)
    rng.shuffle(branches)
    open_failures = _pick_open_failures(network, branches, rng)
    starts = sorted(
        rng.uniform(YOUNGEST / OPEN_WITHIN, 1) * OPEN_WITHIN.total_seconds() for _ in open_failures
    )
    now = [
        (at - timedelta(seconds=round(back)), failure)
        for back, failure in zip(reversed(starts), open_failures, strict=True)
    ]
    busy_branches = {failure.branch.key for failure in open_failures}
    unaffected = [branch for branch in branches if branch.key not in busy_branches] or branches
    past = _draw_past(unaffected, rng, count=size.incidents - len(now), period=size.history, at=at)
    every = sorted(
        [*past, *((began, None, failure) for began, failure in now)], key=lambda row: row[0]
    )
    return [
        Story(network.id_of("incident", n), n, failure, began, ended)
        for n, (began, ended, failure) in enumerate(every, start=1)
    ]


def _pick_open_failures(network: Network, branches: list[Branch], rng: Random) -> list[Failure]:
    """The open failures, each in its own part of the network, of different kinds, and one blind region."""
    wanted = network.size.open_incidents
    blind = network.size.regions - 1
    has_blind = blind > 0 and wanted > 1
    found: list[Failure] = []
    for branch in branches:
        if len(found) == wanted - has_blind:
            break
        if has_blind and branch.region == blind:
            continue
        failure = _draw_other(branch, rng, {row.kind for row in found})
        if failure is not None:
            found.append(failure)
    if has_blind:
        hub = next(b for b in branches if b.region == blind and not b.own[0].site.number)
        while (failure := draw_failure(hub, rng)).offline_agent is None:
            pass
        found.append(failure)
    return found


def _draw_other(branch: Branch, rng: Random, seen: set[str]) -> Failure | None:
    """A failure without an offline agent, of an unused kind if a few draws find one; None otherwise."""
    for _ in range(6):
        failure = draw_failure(branch, rng)
        if failure.offline_agent is None and (failure.kind not in seen or len(seen) >= KINDS):
            return failure
    return None


def _draw_past(
    branches: list[Branch], rng: Random, *, count: int, period: timedelta, at: datetime
) -> list[tuple[datetime, datetime | None, Failure]]:
    newest = at - YOUNGEST
    starts = sorted(
        newest - timedelta(seconds=round(rng.uniform(0, period.total_seconds())))
        for _ in range(count)
    )
    busy: dict[str, datetime] = {}
    found: list[tuple[datetime, datetime | None, Failure]] = []
    for drawn in starts:
        branch = rng.choice(branches)
        for _ in range(20):
            if busy.get(branch.key, drawn) <= drawn:
                break
            branch = rng.choice(branches)
        began = max(drawn, busy.get(branch.key, drawn))
        failure = draw_failure(branch, rng)
        least = max(SHORTEST, failure.opens_at(began) - began + timedelta(seconds=30))
        drawn_for = timedelta(seconds=round(rng.lognormvariate(6.6, 1.1)))
        ended = began + min(max(least, drawn_for), LONGEST)
        if ended > newest:
            began, ended = newest - (ended - began), newest
        busy[branch.key] = ended + PAUSE
        found.append((began, ended, failure))
    return found
