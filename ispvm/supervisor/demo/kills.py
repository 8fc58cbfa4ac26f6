"""Fault injection: kill -9 at random times while the demo checks stories."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ispvm.supervisor.demo.faults import BACKEND, FLUSH, VALKEY, Fault

KINDS = ("worker", "beat", "ingest", "agent")
ALL_KINDS = (*KINDS, "web", "deliver", "keeper", "signer", BACKEND, VALKEY, FLUSH)
STORY_SECONDS = 50.0
PATIENCE_SECONDS = 10.0
#: Shortest time from the restart of a process to the next kill.
MIN_SECONDS = 1.0
RESTART_WITHIN = 60.0
#: File beside the phase file with the number of kills left, for `demo_check`.
KILLS_LEFT = "kills-left"


@dataclass(frozen=True)
class Kill:
    """A killed process and the time of the kill, in seconds of story time."""

    at_seconds: float
    name: str
    pid: int


def plan_kinds(count: int, rng: random.Random, among: Sequence[str] = KINDS) -> list[str]:
    """The kind of each kill: an equal share for each kind and one share at random."""
    kinds = [kind for kind in among for _ in range(count // (len(among) + 1))]
    kinds += rng.choices(among, k=count - len(kinds))
    rng.shuffle(kinds)
    return kinds


def of_kind(kind: str, names: Iterable[str]) -> list[str]:
    """The processes of a kind, in a stable order."""
    if kind == "deliver":
        return [name for name in names if name == "worker-deliver"]
    return sorted(name for name in names if name.split("-")[0] == kind)


class ProcessControl(Protocol):
    """The part of the supervisor that the killer uses."""

    def pids(self) -> dict[str, int]: ...

    def kill(self, name: str) -> int | None: ...

    def is_ready(self, name: str) -> bool: ...


class Killer:
    """Kills processes while a story runs, each one after the previous one has restarted; records every kill.

    `demo_check` writes to the phase file whether a story runs, and the expected duration of all stories
    with kills: {"phase": "story", "story": "a", "seconds": 60}.
    """

    def __init__(
        self,
        supervisor: ProcessControl,
        phase_file: Path,
        *,
        count: int,
        seed: int,
        echo: Callable[[str], None],
        kinds: Sequence[str] = KINDS,
        faults: Mapping[str, Fault] | None = None,
        min_seconds: float = MIN_SECONDS,
    ) -> None:
        self.kills: list[Kill] = []
        self._supervisor = supervisor
        self._echo = echo
        self._phase_file = phase_file
        self._rng = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self._kinds = plan_kinds(count, self._rng, kinds)
        self._faults = faults or {}
        self._min_seconds = min_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="killer", daemon=True)

    def start(self) -> None:
        self._write_kills_left()
        self._thread.start()

    def finish(self) -> int:
        """Stop; returns the number of planned kills that did not happen."""
        self._stopped.set()
        self._thread.join()
        return len(self._kinds) - len(self.kills)

    def phase(self) -> dict[str, Any]:
        try:
            phase: dict[str, Any] = json.loads(self._phase_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}  # not written yet, or incomplete
        return phase

    def _work(self) -> None:
        story_time, seconds = 0.0, STORY_SECONDS
        tick = 0.1
        wait = 0.0
        for kind in self._kinds:
            while wait > 0 or not self._is_story_running():
                if self._stopped.wait(tick):
                    return
                if self._is_story_running():
                    wait -= tick
                    story_time += tick
            began = time.monotonic()
            self._kill_one(kind, story_time)
            self._write_kills_left()
            story_time += time.monotonic() - began
            seconds = float(self.phase().get("seconds", seconds))
            # Less than the whole duration, so that the last kill is within a story too.
            wait = max(self._min_seconds, 0.9 * seconds / len(self._kinds))
            wait *= self._rng.uniform(0.3, 1.7)

    def _write_kills_left(self) -> None:
        left = str(len(self._kinds) - len(self.kills))
        self._phase_file.with_name(KILLS_LEFT).write_text(left, encoding="utf-8")

    def _is_story_running(self) -> bool:
        return self.phase().get("phase") == "story"

    def _kill_one(self, kind: str, story_time: float) -> None:
        """Kill a process of the kind; waits for one that is restarting."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self._stopped.is_set():
            result = self._inject(kind)
            if result is not None:
                name, pid = result
                self.kills.append(Kill(story_time, name, pid))
                self._echo(f"kill -9 {name} (pid {pid})" if pid else name)
                self._wait_for_restart(kind, name)
                return
            time.sleep(0.1)

    def _wait_for_restart(self, kind: str, name: str) -> None:
        """Wait for the restart. A process that does not restart is reported by the check."""
        deadline = time.monotonic() + RESTART_WITHIN
        while kind not in self._faults and time.monotonic() < deadline:
            if self._stopped.wait(0.2) or self._supervisor.is_ready(name):
                return

    def _inject(self, kind: str) -> tuple[str, int] | None:
        if kind in self._faults:
            return self._faults[kind](self._rng)
        names = of_kind(kind, self._supervisor.pids())
        if not names:
            return None
        name = self._rng.choice(names)
        pid = self._supervisor.kill(name)
        return None if pid is None else (name, pid)
