"""Misfortune on purpose: kill -9 at random moments while a story of the demo is being checked."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ispvm.supervisor.demo.faults import BACKEND, FLUSH, VALKEY, Blow

KINDS = ("worker", "beat", "ingest", "agent")
ALL_KINDS = (*KINDS, "web", "deliver", "keeper", "signer", BACKEND, VALKEY, FLUSH)
STORY_SECONDS = 50.0
PATIENCE_SECONDS = 10.0
#: From a victim's return to the next kill, at least and on average.
LEAST_SECONDS = 1.0
RETURNS_WITHIN = 60.0
#: How many kills are still to come, for `demo_check`: beside the phase file.
KILLS_LEFT = "kills-left"


@dataclass(frozen=True)
class Kill:
    """One process that was killed, and when (seconds into the story phases)."""

    at_seconds: float
    name: str
    pid: int


def plan_kinds(count: int, rng: random.Random, among: Sequence[str] = KINDS) -> list[str]:
    """Which kind each kill takes: an equal share for each and one for chance (a fifth of four kinds' kills)."""
    kinds = [kind for kind in among for _ in range(count // (len(among) + 1))]
    kinds += rng.choices(among, k=count - len(kinds))
    rng.shuffle(kinds)
    return kinds


def of_kind(kind: str, names: Iterable[str]) -> list[str]:
    """The processes that are of a kind, in a stable order."""
    if kind == "deliver":
        return [name for name in names if name == "worker-deliver"]
    return sorted(name for name in names if name.split("-")[0] == kind)


class Victims(Protocol):
    """What the killer needs of a supervisor."""

    def pids(self) -> dict[str, int]: ...

    def kill(self, name: str) -> int | None: ...

    def is_ready(self, name: str) -> bool: ...


class Killer:
    """Kills while a story is being told, each victim after the last one is back; keeps a list of what it did.

    `demo_check` says in the phase file whether a story is on, and how many seconds it expects
    it and all others under kills to take: {"phase": "story", "story": "a", "seconds": 60}.
    """

    def __init__(
        self,
        supervisor: Victims,
        phase_file: Path,
        *,
        count: int,
        seed: int,
        say: Callable[[str], None],
        kinds: Sequence[str] = KINDS,
        blows: Mapping[str, Blow] | None = None,
        least_seconds: float = LEAST_SECONDS,
    ) -> None:
        self.killed: list[Kill] = []
        self._supervisor = supervisor
        self._say = say
        self._phase_file = phase_file
        self._rng = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self._kinds = plan_kinds(count, self._rng, kinds)
        self._blows = blows or {}
        self._least_seconds = least_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="killer", daemon=True)

    def start(self) -> None:
        self._tell_left()
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
        story_time, seconds = 0.0, STORY_SECONDS
        tick = 0.1
        wait = 0.0
        for kind in self._kinds:
            while wait > 0 or not self._story_is_on():
                if self._stopped.wait(tick):
                    return
                if self._story_is_on():
                    wait -= tick
                    story_time += tick
            began = time.monotonic()
            self._kill_one(kind, story_time)
            self._tell_left()
            story_time += time.monotonic() - began
            seconds = float(self.phase().get("seconds", seconds))
            # A little short of the whole, so that the last one falls into a story too.
            wait = max(self._least_seconds, 0.9 * seconds / len(self._kinds))
            wait *= self._rng.uniform(0.3, 1.7)

    def _tell_left(self) -> None:
        left = str(len(self._kinds) - len(self.killed))
        self._phase_file.with_name(KILLS_LEFT).write_text(left, encoding="utf-8")

    def _story_is_on(self) -> bool:
        return self.phase().get("phase") == "story"

    def _kill_one(self, kind: str, story_time: float) -> None:
        """Kill a process of the kind; one that is being restarted just now is waited for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self._stopped.is_set():
            hit = self._strike(kind)
            if hit is not None:
                name, pid = hit
                self.killed.append(Kill(story_time, name, pid))
                self._say(f"kill -9 {name} (pid {pid})" if pid else name)
                self._await_return(kind, name)
                return
            time.sleep(0.1)

    def _await_return(self, kind: str, name: str) -> None:
        """A slow machine is given its time; what does not come back is for the check to tell."""
        deadline = time.monotonic() + RETURNS_WITHIN
        while kind not in self._blows and time.monotonic() < deadline:
            if self._stopped.wait(0.2) or self._supervisor.is_ready(name):
                return

    def _strike(self, kind: str) -> tuple[str, int] | None:
        if kind in self._blows:
            return self._blows[kind](self._rng)
        names = of_kind(kind, self._supervisor.pids())
        if not names:
            return None
        name = self._rng.choice(names)
        pid = self._supervisor.kill(name)
        return None if pid is None else (name, pid)
