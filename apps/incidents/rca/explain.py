"""From symptoms to causes: explain, take away what is explained, repeat; then see which causes share a trouble. Pure.

The best explanation of everything still unexplained is taken first, with the failures already found held as known:
so two uplinks lost one after the other are two causes of one trouble, and two cuts far apart are two troubles.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from math import exp
from uuid import UUID

from apps.incidents.rca.candidates import Suspects
from apps.incidents.rca.effects import Effects, is_about_visibility
from apps.incidents.rca.evidence import Judgement, judge
from apps.incidents.rca.snapshot import Symptom, own_trouble
from apps.incidents.rca.weights import MOST, SOMETHING_ELSE
from apps.incidents.rca.world import NOTHING, Failed, World
from apps.topology.graph import Ref

#: How many suspects are weighed in full; the rest cannot win on what is local to them.
FINALISTS = 12
#: Ways into one region that may fail together.
MOST_TOGETHER = 4
#: Other explanations worth naming: at least this share of the odds, and at most so many.
NOTABLE_SHARE = 0.02
NOTABLE_RIVALS = 3


@dataclass(frozen=True)
class Found:
    """One cause as it was found: what it explains beside the others, and what else could have been it."""

    ref: Ref
    judgement: Judgement
    confidence: float
    rivals: tuple[tuple[Ref, float], ...]


def find_causes(world: World, symptoms: Iterable[Symptom]) -> list[Found]:
    """Causes that together explain every symptom, the best first. Deterministic; every symptom is explained by one."""
    left = sorted(symptoms, key=lambda row: row.alert_id)
    suspects = Suspects(world, left)
    known: Failed = NOTHING
    found: list[Found] = []
    while left:
        world.stand_on(known)
        best = _best(world, suspects, known, left)
        found += _members(world, suspects, known, best)
        known |= best.suspects
        taken = {row.alert_id for row in best.explained}
        left = [row for row in left if row.alert_id not in taken]
    return found


def _members(world: World, suspects: Suspects, known: Failed, best: Judgement) -> list[Found]:
    """Each failure of a suspicion by itself: what only it explains beside the others; the first takes what any does."""
    refs = sorted(best.suspects)
    owned = [_unexplained(world, known | (best.suspects - {ref}), best.explained) for ref in refs]
    shared = {row.alert_id: row for row in best.explained}
    for rows in owned:
        for row in rows:
            shared.pop(row.alert_id, None)
    owned[0] += shared.values()
    return [
        _weigh_rivals(world, suspects, ref, beside=known | (best.suspects - {ref}), explained=rows)
        for ref, rows in zip(refs, owned, strict=True)
    ]


def troubles(world: World, found: list[Found]) -> list[list[Found]]:
    """Causes put together where one trouble needs both: each list becomes one incident."""
    group_of = list(range(len(found)))
    for later, cause in enumerate(found):
        for earlier in _partners(world, found, later, cause):
            old, new = group_of[later], group_of[earlier]
            group_of = [new if group == old else group for group in group_of]
    return [
        [cause for cause, mine in zip(found, group_of, strict=True) if mine == group]
        for group in sorted(set(group_of))
    ]


def _partners(world: World, found: list[Found], later: int, cause: Found) -> list[int]:
    """Earlier causes without which this one would not have hurt as it did."""
    alone = Effects(world, frozenset({cause.ref}))
    seen = (row for row in cause.judgement.explained if is_about_visibility(row))
    puzzling = [row for row in seen if not alone.explains(row)]
    if not puzzling or later == 0:
        return []
    refs = [row.ref for row in found[: later + 1]]
    together = Effects(world, frozenset(refs))
    # Of several that failed together the first ones explain nothing yet: the last one finds its partners.
    shared = [row for row in puzzling if together.explains(row)]
    return _needed(world, refs, range(later), shared)


def _needed(world: World, refs: list[Ref], among: range, shared: list[Symptom]) -> list[int]:
    """Of some causes, those without which the others do not explain all. More failures never explain less: what can be
    left out together can be left out one by one, so halves are asked before each single one."""
    if not among:
        return []
    without = Effects(world, frozenset(refs[: among.start] + refs[among.stop :]))
    if all(without.explains(row) for row in shared):
        return []
    if len(among) == 1:
        return [among.start]
    middle = (among.start + among.stop) // 2
    return [
        *_needed(world, refs, range(among.start, middle), shared),
        *_needed(world, refs, range(middle, among.stop), shared),
    ]


def _best(world: World, suspects: Suspects, known: Failed, left: list[Symptom]) -> Judgement:
    left_by_id = {row.alert_id: row for row in left}
    suspicions = [frozenset({ref}) for ref in _finalists(suspects, known, left)]
    suspicions += _together(suspects, known, left)
    judged = [
        judgement
        for suspicion in suspicions
        if (near := _near(suspects, suspicion, left_by_id))
        and (judgement := judge(world, suspicion, known=known, symptoms=near))
    ]
    if not judged:  # nobody explains anything: each symptom stands for itself
        first = left[0]
        return Judgement(frozenset({own_trouble(first)}), 0.0, (first,), ())
    chosen = min(judged, key=_order)
    whole = judge(world, chosen.suspects, known=known, symptoms=left)
    return whole or chosen


def _near(suspects: Suspects, suspicion: Failed, left: Mapping[UUID, Symptom]) -> list[Symptom]:
    """The symptoms that point at the suspicion: trouble elsewhere does not speak against it."""
    pointing = {pk for ref in suspicion for pk in suspects.pointing_at(ref) if pk in left}
    return [left[pk] for pk in sorted(pointing)]


def _finalists(suspects: Suspects, known: Failed, left: list[Symptom]) -> list[Ref]:
    pointing = _pointing(suspects, left)
    among = pointing.keys() - known
    return nsmallest(FINALISTS, among, key=lambda ref: (-pointing[ref], ref))


def _together(suspects: Suspects, known: Failed, left: list[Symptom]) -> list[Failed]:
    """Wires that may have failed together: all ways into one dark region, each with a sign of its own."""
    wounded = {
        suspect
        for row in left
        if row.kind in {"interface_down", "adjacency_down"}
        for suspect in suspects.of(row)
    }
    borders = (border - known for border in suspects.borders(left))
    fit = [border for border in borders if 1 < len(border) <= MOST_TOGETHER and border <= wounded]
    return sorted(fit, key=sorted)


def _pointing(suspects: Suspects, symptoms: Iterable[Symptom]) -> dict[Ref, int]:
    """How many symptoms point at each suspect."""
    pointing: dict[Ref, int] = defaultdict(int)
    for row in symptoms:
        for suspect in suspects.of(row):
            pointing[suspect] += 1
    return pointing


def _weigh_rivals(
    world: World, suspects: Suspects, ref: Ref, *, beside: Failed, explained: list[Symptom]
) -> Found:
    """Confidence: the cause's odds against everything else that explains the same, and against the unseen."""
    alone = frozenset({ref})
    own = judge(world, alone, known=beside, symptoms=explained)
    if own is None or len(own.explained) < len(explained):
        # It says so itself, or only together with others: no network would follow from it.
        own = Judgement(
            alone, own.score if own else 0.0, tuple(explained), own.signs if own else ()
        )
    odds: dict[Ref, float] = {}
    for rival in _finalists(suspects, beside | alone, explained):
        judged = judge(world, frozenset({rival}), known=beside, symptoms=explained)
        if judged:
            odds[rival] = exp(judged.score - own.score)
    total = 1.0 + sum(odds.values()) + exp(SOMETHING_ELSE - own.score)
    shares = ((rival, round(value / total, 2)) for rival, value in odds.items())
    notable = [row for row in shares if row[1] >= NOTABLE_SHARE]
    notable.sort(key=lambda row: (-row[1], row[0]))
    confidence = round(min(MOST, 1.0 / total), 2)
    return Found(ref, own, confidence, tuple(notable[:NOTABLE_RIVALS]))


def _unexplained(world: World, known: Failed, symptoms: Iterable[Symptom]) -> list[Symptom]:
    effects = Effects(world, known)
    return [row for row in symptoms if not effects.explains(row)]


def _order(judgement: Judgement) -> tuple[float, int, int, list[Ref]]:
    return (
        -judgement.score,
        len(judgement.suspects),
        -len(judgement.explained),
        sorted(judgement.suspects),
    )
