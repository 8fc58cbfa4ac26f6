"""Which trouble is which incident: the same outage keeps its number while its alerts come and go. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.incidents.rca.verdict import Trouble
from apps.topology.graph import Ref


@dataclass(frozen=True)
class Known:
    """An open incident as matching sees it."""

    id: UUID
    number: int
    root: Ref
    alert_ids: frozenset[UUID]


@dataclass(frozen=True)
class Match:
    """What became of each trouble and each incident."""

    #: Trouble index -> incident.
    continued: dict[int, Known]
    #: Incident -> the one that it turned out to be part of.
    merged: dict[UUID, Known]
    #: Trouble indexes that no incident tells of yet.
    new: tuple[int, ...]


def match(troubles: Sequence[Trouble], known: Sequence[Known]) -> Match:
    """Each trouble continues at most one incident: the one with its root, else the one that shares most alerts."""
    alerts = [frozenset(row.alert_id for row in trouble.symptoms) for trouble in troubles]
    pairs = sorted(
        (
            (trouble.root != incident.root, -len(mine & incident.alert_ids), incident.number, index)
            for index, (trouble, mine) in enumerate(zip(troubles, alerts, strict=True))
            for incident in known
            if mine & incident.alert_ids
        ),
    )
    by_number = {incident.number: incident for incident in known}
    continued: dict[int, Known] = {}
    taken: set[UUID] = set()
    for _, _, number, index in pairs:
        incident = by_number[number]
        if index not in continued and incident.id not in taken:
            continued[index] = incident
            taken.add(incident.id)
    merged = {
        by_number[number].id: continued[index]
        for _, _, number, index in pairs
        if by_number[number].id not in taken
    }
    new = tuple(index for index in range(len(troubles)) if index not in continued)
    return Match(continued, merged, new)
