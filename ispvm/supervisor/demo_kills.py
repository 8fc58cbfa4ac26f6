"""Misfortune on purpose: kill -9 at random moments while a story of the demo is being checked."""

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

KINDS = ("worker", "beat", "ingest", "agent")
STORY_SECONDS = 50.0
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Kill:
    """One process that was killed, and when (seconds into the story phases)."""

    at_seconds: float
    name: str
    pid: int


def plan_kinds(count: int, rng: random.Random) -> list[str]:
    """Which kind each kill takes: at least a fifth of the kills for each kind, the rest by chance."""
    kinds = [kind for kind in KINDS for _ in range(count // 5)]
    kinds += rng.choices(KINDS, k=count - len(kinds))
    rng.shuffle(kinds)
    return kinds


class Victims(Protocol):
    """What the killer needs of a supervisor."""

    def pids(self) -> dict[str, int]: ...

    def kill(self, name: str) -> int | None: ...


class Killer:
    """Kills while a story is being told; keeps a list of what it did.

    `demo_check` says in the phase file whether a story is on, and how many seconds it expects
    it to take: {"phase": "story", "story": "a", "seconds": 60}.
    """

    def __init__(
        self,
        supervisor: Victims,
        phase_file: Path,
        *,
        count: int,
        stories: int,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self.killed: list[Kill] = []
        self._supervisor = supervisor
        self._say = say
        self._phase_file = phase_file
        self._rng = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self._kinds = plan_kinds(count, self._rng)
        self._per_story = -(-count // max(1, stories))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="killer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> int:
        """Stop; answers how many planned kills were not played."""
        self._stopped.set()
        self._thread.join()
        return len(self._kinds) - len(self.killed)

    def phase(self) -> dict[str, Any]:
        try:
            phase: dict[str, Any] = json.loads(self._phase_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}  # not written yet, or just being written
        return phase

    def _work(self) -> None:
        story_time = 0.0
        tick = 0.1
        wait = 0.0
        for kind in self._kinds:
            while wait > 0 or not self._story_is_on():
                if self._stopped.wait(tick):
                    return
                if self._story_is_on():
                    wait -= tick
                    story_time += tick
            self._kill_one(kind, story_time)
            seconds = float(self.phase().get("seconds", STORY_SECONDS))
            # A little short of the whole, so that the last one falls into the story too.
            wait = 0.9 * seconds / self._per_story * self._rng.uniform(0.7, 1.3)

    def _story_is_on(self) -> bool:
        return self.phase().get("phase") == "story"

    def _kill_one(self, kind: str, story_time: float) -> None:
        """Kill a process of the kind; one that is being restarted just now is waited for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self._stopped.is_set():
            names = [name for name in self._supervisor.pids() if name.split("-")[0] == kind]
            if names:
                name = self._rng.choice(sorted(names))
                pid = self._supervisor.kill(name)
                if pid is not None:
                    self.killed.append(Kill(story_time, name, pid))
                    self._say(f"kill -9 {name} (pid {pid})")
                    return
            time.sleep(0.1)
