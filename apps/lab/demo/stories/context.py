"""The context of a running story."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.lab.demo.folder import Folder
from apps.lab.demo.rest import Rest, RestError
from apps.lab.demo.watcher import Watcher

RESTARTING = {0, 502, 503}
HALTED = "halted.json"
DISTURBED_FACTOR = 3
HALT_LOCK = threading.Lock()


@dataclass(frozen=True)
class Context:
    """The simulated network, the platform's API, and the random source of a story."""

    control: Rest
    rest: Rest
    watcher: Watcher
    topology: dict[str, Any]
    folder: Folder
    rng: random.Random
    echo: Callable[[str], None]
    #: Processes are killed meanwhile: the result must be the same, without the limit of 30 s.
    is_disturbed: bool
    #: Links and routers in use by stories that run at the same time.
    reserved: set[str] = field(default_factory=set)
    #: How often each was chosen in this run: one that fails repeatedly within minutes would be reported as flapping.
    times_used: Counter[str] = field(default_factory=Counter)

    def patience(self, seconds: float) -> float:
        """The time limit: longer while processes are killed."""
        return seconds * DISTURBED_FACTOR if self.is_disturbed else seconds

    def choose(self, names: Iterable[str]) -> str:
        """Choose and reserve one that no other running story uses, of those chosen least often."""
        free = sorted(set(names) - self.reserved)
        least = min(self.times_used[name] for name in free)
        chosen = self.rng.choice([name for name in free if self.times_used[name] == least])
        self.reserved.add(chosen)
        self.times_used[chosen] += 1
        return chosen

    def link(self, link_id: str) -> dict[str, Any]:
        found = (row for row in self.topology["links"] if row["id"] == link_id)
        return dict(next(found))

    def halt(self, process: str) -> None:
        """Have a process of the demo killed and not restarted."""
        with HALT_LOCK:
            halted = set(self.folder.read_json(HALTED)) if self.folder.read_text(HALTED) else set()
            self.folder.write_json(HALTED, sorted(halted | {process}))

    def release(self, process: str) -> None:
        """Have the process started again."""
        with HALT_LOCK:
            halted = set(self.folder.read_json(HALTED)) if self.folder.read_text(HALTED) else set()
            self.folder.write_json(HALTED, sorted(halted - {process}))

    def reserve_routers_of(self, link_id: str) -> None:
        """Reserve the routers at both ends of a link."""
        self.reserved.update(_ends(self.link(link_id)))

    def is_unreserved(self, link: Mapping[str, Any]) -> bool:
        """Whether no other running story uses an end of the link."""
        return not _ends(link) & self.reserved

    def links(self, kind: str) -> list[dict[str, Any]]:
        return sorted(
            (row for row in self.topology["links"] if row["kind"] == kind),
            key=lambda row: str(row["id"]),
        )

    def routers_of(self, site: str) -> frozenset[str]:
        return frozenset(row["name"] for row in self.topology["devices"] if row["site"] == site)

    def site_of(self, device: str) -> str:
        found = (row["site"] for row in self.topology["devices"] if row["name"] == device)
        return str(next(found))

    def sessions_on(self, devices: frozenset[str]) -> int:
        """Subscribers on these routers, according to the simulator."""
        truth: Mapping[str, int] = self.control.get("/truth")["sessions"]
        return sum(truth.get(name, 0) for name in devices)

    def service_of(self, device: str) -> str:
        """The name of the router's PPPoE service on the platform."""
        devices = {row["id"]: row["name"] for row in self.rest.all("/devices/")}
        found = (row for row in self.rest.all("/services/") if devices.get(row["device"]) == device)
        return str(next(found)["name"])

    def post_with_retries(self, path: str, body: Mapping[str, Any] | None = None) -> None:
        """POST, retried while a process restarts; a conflict means that it was done already."""
        for _ in range(20):
            try:
                self.rest.post(path, body)
            except RestError as error:
                if error.status == 409:
                    return
                if error.status not in RESTARTING:
                    raise
                time.sleep(0.5)
            else:
                return


def _ends(link: Mapping[str, Any]) -> set[str]:
    """The routers of a link."""
    return {str(end["device"]) for end in (link["a"], link["z"]) if end}
