"""What a story is played on."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.console.demo.folder import Folder
from apps.console.demo.rest import Rest, RestError
from apps.console.demo.watching import Watcher

RESTARTING = {0, 502, 503}


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
