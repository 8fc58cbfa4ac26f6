"""Observes the platform from outside during a story: REST and the receiver's log, nothing else."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from apps.lab.demo.receiver_log import Received, about, read_log
from apps.lab.demo.rest import Rest, RestError

T = TypeVar("T")
POLL_SECONDS = 0.5


class Watcher:
    """Incidents and alerts seen during a story."""

    def __init__(self, rest: Rest, receiver_log: Path) -> None:
        self._rest = rest
        self._log = receiver_log
        #: Every incident that was open during the story, in its last state.
        self.incidents: dict[str, dict[str, Any]] = {}
        #: Labels of all entities with an unreachable alert during the story.
        self.reported_unreachable: set[str] = set()
        # Shared by stories that run at the same time.
        self._lock = threading.Lock()
        self._refreshed_at = 0.0

    def wait_for(self, condition: Callable[[], T | None], *, seconds: float) -> T | None:
        """The first true result of ``condition``; None after ``seconds``. Refreshes meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.refresh()
                found = condition()
            except RestError as error:
                if error.status not in {0, 502, 503}:  # a process that was killed is started again
                    raise
                found = None
            if found or time.monotonic() > deadline:
                return found or None
            time.sleep(POLL_SECONDS)

    def refresh(self) -> None:
        """Read open incidents and unreachable alerts, at most once per half interval."""
        with self._lock:
            if time.monotonic() - self._refreshed_at < POLL_SECONDS / 2:
                return
            self._read()
            self._refreshed_at = time.monotonic()

    def _read(self) -> None:
        for row in self._rest.get("/incidents/", status="open")["results"]:
            self.incidents[row["id"]] = row
        for alert in self._rest.get("/alerts/", state="firing", rule="unreachable")["results"]:
            self.reported_unreachable.add(alert["entity"]["label"])

    def incident(self, incident_id: str) -> dict[str, Any]:
        """One incident with all fields."""
        found: dict[str, Any] = self._rest.get(f"/incidents/{incident_id}/")
        return found

    def of(self, incident_id: str, what: str) -> list[dict[str, Any]]:
        """A sub-resource of an incident: ``suppressed`` alerts or ``timeline``."""
        return list(self._rest.all(f"/incidents/{incident_id}/{what}/"))

    def suppressed_devices(self, incident_id: str) -> set[str]:
        """Routers whose unreachable alert is suppressed."""
        rows = self.of(incident_id, "suppressed")
        return {row["entity_name"] for row in rows if row["kind"] == "unreachable"}

    def received(self, incident_id: str) -> list[Received]:
        """Verified webhooks about an incident."""
        return about(read_log(self._log), incident_id)

    def refused(self) -> int:
        """Number of webhooks with an invalid signature."""
        return sum(1 for row in read_log(self._log) if not row.verified)
