"""Matching problems to open incidents: the same outage keeps its number while its alerts change. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.incidents.rca.verdict import Problem
from apps.topology.graph import Ref


@dataclass(frozen=True)
class OpenIncident:
    """An open incident, as input of matching."""

    id: UUID
    number: int
    root: Ref
    alert_ids: frozenset[UUID]


@dataclass(frozen=True)
class Match:
    """The result: continued and merged incidents, and new problems."""

    #: Problem index -> incident.
    continued: dict[int, OpenIncident]
    #: Incident -> the one that it is merged into.
    merged: dict[UUID, OpenIncident]
    #: Indexes of problems without an incident.
    new: tuple[int, ...]


def match(problems: Sequence[Problem], known: Sequence[OpenIncident]) -> Match:
    """Each problem continues at most one incident: the one with its root, else the one that shares most alerts."""
    alerts = [frozenset(row.alert_id for row in problem.symptoms) for problem in problems]
    pairs = sorted(
        (
            (
                problem.root != incident.root,
                -len(problem_alerts & incident.alert_ids),
                incident.number,
                index,
            )
            for index, (problem, problem_alerts) in enumerate(zip(problems, alerts, strict=True))
            for incident in known
            if problem_alerts & incident.alert_ids
        ),
    )
    by_number = {incident.number: incident for incident in known}
    continued: dict[int, OpenIncident] = {}
    claimed: set[UUID] = set()
    for _, _, number, index in pairs:
        incident = by_number[number]
        if index not in continued and incident.id not in claimed:
            continued[index] = incident
            claimed.add(incident.id)
    merged: dict[UUID, OpenIncident] = {}
    for _, _, number, index in pairs:
        if by_number[number].id not in claimed:
            # The first of its pairs: the problem with its root, else the one that shares most alerts.
            merged.setdefault(by_number[number].id, continued[index])
    new = tuple(index for index in range(len(problems)) if index not in continued)
    return Match(continued, merged, new)
