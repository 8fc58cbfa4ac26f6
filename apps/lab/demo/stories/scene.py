"""What a story is played on."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.lab.demo.folder import Folder
from apps.lab.demo.rest import Rest, RestError
from apps.lab.demo.watching import Watcher

RESTARTING = {0, 502, 503}
HALTED = "halted.json"
DISTURBED_TAKES = 3
HALTING = threading.Lock()


@dataclass(frozen=True)
class Scene:
    """The simulated network, the platform as seen from outside, and where a story draws from."""

    control: Rest
    rest: Rest
    watcher: Watcher
    topology: dict[str, Any]
    folder: Folder
    rng: random.Random
    say: Callable[[str], None]
    #: Processes are being killed meanwhile: it still has to end right, but not within 30 s.
    is_disturbed: bool
    #: Links and routers that stories played at the same time have drawn: each draws others.
    taken: set[str] = field(default_factory=set)
    #: How often each was drawn before in this run: broken again and again within minutes, it would rightly be flapping.
    worn: Counter[str] = field(default_factory=Counter)

    def patience(self, seconds: float) -> float:
        """How long to wait for what needs so long undisturbed."""
        return seconds * DISTURBED_TAKES if self.is_disturbed else seconds

    def choose(self, names: Iterable[str]) -> str:
        """Draw one that no story beside this one has drawn, and take it."""
        free = sorted(set(names) - self.taken)
        least = min(self.worn[name] for name in free)
        chosen = self.rng.choice([name for name in free if self.worn[name] == least])
        self.taken.add(chosen)
        self.worn[chosen] += 1
        return chosen

    def link(self, link_id: str) -> dict[str, Any]:
        found = (row for row in self.topology["links"] if row["id"] == link_id)
        return dict(next(found))

    def halt(self, process: str) -> None:
        """Have a process of the demo killed and kept down."""
        with HALTING:
            halted = set(self.folder.read_json(HALTED)) if self.folder.read_text(HALTED) else set()
            self.folder.write_json(HALTED, sorted(halted | {process}))

    def release(self, process: str) -> None:
        """Have it started again."""
        with HALTING:
            halted = set(self.folder.read_json(HALTED)) if self.folder.read_text(HALTED) else set()
            self.folder.write_json(HALTED, sorted(halted - {process}))

    def take_routers_of(self, link_id: str) -> None:
        """What happens to a wire is seen at both of its ends."""
        self.taken.update(_ends(self.link(link_id)))

    def is_apart(self, link: Mapping[str, Any]) -> bool:
        """Whether no story beside this one plays on either end of a wire."""
        return not _ends(link) & self.taken

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
        """Subscribers that the model has on these routers now."""
        truth: Mapping[str, int] = self.control.get("/truth")["sessions"]
        return sum(truth.get(name, 0) for name in devices)

    def service_of(self, device: str) -> str:
        """What the platform calls the router's PPPoE service."""
        devices = {row["id"]: row["name"] for row in self.rest.all("/devices/")}
        found = (row for row in self.rest.all("/services/") if devices.get(row["device"]) == device)
        return str(next(found)["name"])

    def persist(self, path: str, body: Mapping[str, Any] | None = None) -> None:
        """POST although a process may be restarting; done already counts."""
        for _ in range(20):
            try:
                self.rest.post(path, body)
            except RestError as error:
                if error.status == 409:  # noqa: PLR2004
                    return
                if error.status not in RESTARTING:
                    raise
                time.sleep(0.5)
            else:
                return


def _ends(link: Mapping[str, Any]) -> set[str]:
    """The routers of a wire."""
    return {str(end["device"]) for end in (link["a"], link["z"]) if end}
