"""From symptoms to causes: explain, remove what is explained, repeat; then group causes into problems. Pure.

The best explanation of everything still unexplained is taken first, with the failures already found taken as known:
so two uplinks lost one after the other are two causes of one problem, and two cuts far apart are two problems.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from math import exp
from uuid import UUID

from apps.incidents.rca.candidates import Candidates
from apps.incidents.rca.effects import Effects, is_about_visibility
from apps.incidents.rca.evidence import Assessment, assess
from apps.incidents.rca.impact_graph import NO_FAILURES, Failed, ImpactGraph
from apps.incidents.rca.snapshot import Symptom, own_problem
from apps.incidents.rca.weights import MAX_CONFIDENCE, UNKNOWN_CAUSE
from apps.topology.graph import Ref

#: How many candidates are assessed in full.
MAX_FINALISTS = 12
#: Links into one region that may fail together.
MAX_JOINT_FAILURES = 4
#: Other explanations worth naming: at least this share of the odds, and at most so many.
NOTABLE_SHARE = 0.02
NOTABLE_ALTERNATIVES = 3


@dataclass(frozen=True)
class FoundCause:
    """One cause: what it explains beside the others, and the alternative explanations."""

    ref: Ref
    assessment: Assessment
    confidence: float
    alternatives: tuple[tuple[Ref, float], ...]


def find_causes(network: ImpactGraph, symptoms: Iterable[Symptom]) -> list[FoundCause]:
    """Causes that together explain every symptom, the best first. Deterministic; every symptom is explained by one."""
    left = sorted(symptoms, key=lambda row: row.alert_id)
    candidates = Candidates(network, left)
    known: Failed = NO_FAILURES
    found: list[FoundCause] = []
    while left:
        network.set_baseline(known)
        best = _best(network, candidates, known, left)
        found += _members(network, candidates, known, best)
        known |= best.candidates
        explained_ids = {row.alert_id for row in best.explained}
        left = [row for row in left if row.alert_id not in explained_ids]
    return found


def _members(
    network: ImpactGraph, candidates: Candidates, known: Failed, best: Assessment
) -> list[FoundCause]:
    """Each failure of a hypothesis by itself: what only it explains; the first gets what several explain."""
    refs = sorted(best.candidates)
    unique = [
        _unexplained(network, known | (best.candidates - {ref}), best.explained) for ref in refs
    ]
    shared = {row.alert_id: row for row in best.explained}
    for rows in unique:
        for row in rows:
            shared.pop(row.alert_id, None)
    unique[0] += shared.values()
    return [
        _weigh_alternatives(
            network,
            candidates,
            ref,
            other_failures=known | (best.candidates - {ref}),
            explained=rows,
        )
        for ref, rows in zip(refs, unique, strict=True)
    ]


def group_problems(network: ImpactGraph, found: list[FoundCause]) -> list[list[FoundCause]]:
    """Group causes that explain symptoms only together: each list becomes one incident."""
    group_of = list(range(len(found)))
    for later, cause in enumerate(found):
        for earlier in _partners(network, found, later, cause):
            old, new = group_of[later], group_of[earlier]
            group_of = [new if group == old else group for group in group_of]
    return [
        [cause for cause, mine in zip(found, group_of, strict=True) if mine == group]
        for group in sorted(set(group_of))
    ]


def _partners(
    network: ImpactGraph, found: list[FoundCause], later: int, cause: FoundCause
) -> list[int]:
    """Earlier causes that are needed together with this one to explain its symptoms."""
    alone = Effects(network, frozenset({cause.ref}))
    visibility_symptoms = (row for row in cause.assessment.explained if is_about_visibility(row))
    unexplained = [row for row in visibility_symptoms if not alone.explains(row)]
    if not unexplained or later == 0:
        return []
    refs = [row.ref for row in found[: later + 1]]
    together = Effects(network, frozenset(refs))
    # Of several that failed together the first ones explain nothing yet: the last one finds its partners.
    shared = [row for row in unexplained if together.explains(row)]
    return _needed(network, refs, range(later), shared)


def _needed(
    network: ImpactGraph, refs: list[Ref], among: range, shared: list[Symptom]
) -> list[int]:
    """Of some causes, those without which the others do not explain all. More failures never explain less: what can be
    left out together can be left out one by one, so halves are tested before single ones."""
    if not among:
        return []
    without = Effects(network, frozenset(refs[: among.start] + refs[among.stop :]))
    if all(without.explains(row) for row in shared):
        return []
    if len(among) == 1:
        return [among.start]
    middle = (among.start + among.stop) // 2
    return [
        *_needed(network, refs, range(among.start, middle), shared),
        *_needed(network, refs, range(middle, among.stop), shared),
    ]


def _best(
    network: ImpactGraph, candidates: Candidates, known: Failed, left: list[Symptom]
) -> Assessment:
    left_by_id = {row.alert_id: row for row in left}
    hypotheses = [frozenset({ref}) for ref in _finalists(candidates, known, left)]
    hypotheses += _joint_failures(candidates, known, left)
    assessed = [
        assessment
        for hypothesis in hypotheses
        if (own_symptoms := _pointing_symptoms(candidates, hypothesis, left_by_id))
        and (assessment := assess(network, hypothesis, known=known, symptoms=own_symptoms))
    ]
    if not assessed:  # no hypothesis explains anything: the symptom is its own problem
        first = left[0]
        return Assessment(frozenset({own_problem(first)}), 0.0, (first,), ())
    chosen = min(assessed, key=_sort_key)
    complete = assess(network, chosen.candidates, known=known, symptoms=left)
    return complete or chosen


def _pointing_symptoms(
    candidates: Candidates, hypothesis: Failed, left: Mapping[UUID, Symptom]
) -> list[Symptom]:
    """The symptoms that point at the hypothesis: unexplained symptoms elsewhere do not weaken it."""
    pointing = {pk for ref in hypothesis for pk in candidates.pointing_at(ref) if pk in left}
    return [left[pk] for pk in sorted(pointing)]


def _finalists(candidates: Candidates, known: Failed, left: list[Symptom]) -> list[Ref]:
    pointing = _pointing(candidates, left)
    among = pointing.keys() - known
    return nsmallest(MAX_FINALISTS, among, key=lambda ref: (-pointing[ref], ref))


def _joint_failures(candidates: Candidates, known: Failed, left: list[Symptom]) -> list[Failed]:
    """Links that may have failed together: all links into one unreachable region, each with a link-down sign."""
    link_down_signs = {
        candidate
        for row in left
        if row.kind in {"interface_down", "adjacency_down"}
        for candidate in candidates.of(row)
    }
    borders = (border - known for border in candidates.borders(left))
    joint = [
        border
        for border in borders
        if 1 < len(border) <= MAX_JOINT_FAILURES and border <= link_down_signs
    ]
    return sorted(joint, key=sorted)


def _pointing(candidates: Candidates, symptoms: Iterable[Symptom]) -> dict[Ref, int]:
    """How many symptoms point at each candidate."""
    pointing: dict[Ref, int] = defaultdict(int)
    for row in symptoms:
        for candidate in candidates.of(row):
            pointing[candidate] += 1
    return pointing


def _weigh_alternatives(
    network: ImpactGraph,
    candidates: Candidates,
    ref: Ref,
    *,
    other_failures: Failed,
    explained: list[Symptom],
) -> FoundCause:
    """Confidence: the odds of the cause against alternatives that explain the same and an unknown cause."""
    alone = frozenset({ref})
    own = assess(network, alone, known=other_failures, symptoms=explained)
    if own is None or len(own.explained) < len(explained):
        # It explains them only together with others.
        own = Assessment(
            alone, own.score if own else 0.0, tuple(explained), own.evidence if own else ()
        )
    odds: dict[Ref, float] = {}
    for alternative in _finalists(candidates, other_failures | alone, explained):
        assessed = assess(
            network, frozenset({alternative}), known=other_failures, symptoms=explained
        )
        if assessed:
            odds[alternative] = exp(assessed.score - own.score)
    total = 1.0 + sum(odds.values()) + exp(UNKNOWN_CAUSE - own.score)
    shares = ((alternative, round(value / total, 2)) for alternative, value in odds.items())
    notable = [row for row in shares if row[1] >= NOTABLE_SHARE]
    notable.sort(key=lambda row: (-row[1], row[0]))
    confidence = round(min(MAX_CONFIDENCE, 1.0 / total), 2)
    return FoundCause(ref, own, confidence, tuple(notable[:NOTABLE_ALTERNATIVES]))


def _unexplained(network: ImpactGraph, known: Failed, symptoms: Iterable[Symptom]) -> list[Symptom]:
    effects = Effects(network, known)
    return [row for row in symptoms if not effects.explains(row)]


def _sort_key(assessment: Assessment) -> tuple[float, int, int, list[Ref]]:
    return (
        -assessment.score,
        len(assessment.candidates),
        -len(assessment.explained),
        sorted(assessment.candidates),
    )
