"""Looking at the platform from outside while a story is on: REST and the receiver's log, nothing else."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from apps.lab.demo.receiver_log import Received, about, read_log
from apps.lab.demo.rest import Rest, RestError

T = TypeVar("T")
LOOK_EVERY = 0.5


class Watcher:
    """What can be seen, remembered for as long as the story lasts."""

    def __init__(self, rest: Rest, receiver_log: Path) -> None:
        self._rest = rest
        self._log = receiver_log
        #: Every incident that was open at any moment of this story, as last seen.
        self.incidents: dict[str, dict[str, Any]] = {}
        #: Labels of every entity that any alert of this story called unreachable.
        self.called_unreachable: set[str] = set()
        # Stories that are played at the same time look through one pair of eyes.
        self._guard = threading.Lock()
        self._looked_at = 0.0

    def wait_for(self, look: Callable[[], T | None], *, seconds: float) -> T | None:
        """The first answer that is something; None when time is up. Keeps its eyes open meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.look_around()
                found = look()
            except RestError as error:
                if error.status not in {0, 502, 503}:  # a process that was killed is started again
                    raise
                found = None
            if found or time.monotonic() > deadline:
                return found or None
            time.sleep(LOOK_EVERY)

    def look_around(self) -> None:
        """Remember what stands open now."""
        with self._guard:
            if time.monotonic() - self._looked_at < LOOK_EVERY / 2:
                return
            self._look()
            self._looked_at = time.monotonic()

    def _look(self) -> None:
        for row in self._rest.get("/incidents/", status="open")["results"]:
            self.incidents[row["id"]] = row
        for alert in self._rest.get("/alerts/", state="firing", rule="unreachable")["results"]:
            self.called_unreachable.add(alert["entity"]["label"])

    def incident(self, incident_id: str) -> dict[str, Any]:
        """One incident, whole."""
        found: dict[str, Any] = self._rest.get(f"/incidents/{incident_id}/")
        return found

    def of(self, incident_id: str, what: str) -> list[dict[str, Any]]:
        """Its suppressed alerts, or its timeline."""
        return list(self._rest.all(f"/incidents/{incident_id}/{what}/"))

    def held_devices(self, incident_id: str) -> set[str]:
        """Routers whose own silence is held back."""
        rows = self.of(incident_id, "suppressed")
        return {row["entity_name"] for row in rows if row["kind"] == "unreachable"}

    def received(self, incident_id: str) -> list[Received]:
        """Verified webhooks about it."""
        return about(read_log(self._log), incident_id)

    def refused(self) -> int:
        """Webhooks that the receiver did not believe."""
        return sum(1 for row in read_log(self._log) if not row.verified)
