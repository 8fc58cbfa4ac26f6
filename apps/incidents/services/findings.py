"""What a snapshot and the maintenance plan say of a problem, beside the verdict itself."""

from datetime import datetime

from apps.incidents.changes import Finding, is_recovering
from apps.incidents.rca.impact import subscribers
from apps.incidents.rca.matching import OpenIncident
from apps.incidents.rca.snapshot import Snapshot
from apps.incidents.rca.verdict import Problem
from apps.incidents.services.maintenance_scope import maintenance_scope
from apps.maintenance.selectors import active_windows
from apps.telemetry import queries

SESSIONS = "pppoe.sessions.active"


class FindingReader:
    """Reads them for the problems of one snapshot."""

    def __init__(self, snapshot: Snapshot, at: datetime) -> None:
        self._snapshot = snapshot
        self._at = at
        self._windows = active_windows(at)

    def read(self, problem: Problem, known: OpenIncident | None = None) -> Finding:
        """The finding of a problem; ``known`` is the open incident that continues with it."""
        recovers = known is not None and is_recovering(problem, known.alert_ids, self._snapshot)
        return Finding(
            problem=problem,
            at=self._at,
            subscribers=None if recovers else _subscribers(problem),
            window=maintenance_scope(self._snapshot.graph, problem, self._windows),
            active_windows=frozenset(window.id for window in self._windows),
            is_recovering=recovers,
        )


def _subscribers(problem: Problem) -> int | None:
    """Sessions behind the causes before it began; None: never counted."""
    if not problem.impact.service_ids:
        return 0
    levels = queries.last_values_at_least(metric=SESSIONS, before=problem.began_at)
    return subscribers(problem.impact, levels)
