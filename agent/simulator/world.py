"""The network in motion: breaks and heals it, remembers it, and wakes whoever waits for a path."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.simulator.blueprint import Blueprint, Router
from agent.simulator.failures import Failure, plan_failure
from agent.simulator.menus.view import View
from agent.simulator.state import StateFile

MOST_FAILURES = 100


class TooManyFailures(ValueError):
    """Enough is broken already."""

    code = "too_many_failures"


def now() -> datetime:
    return datetime.now(UTC)


class World:
    """One running simulation."""

    def __init__(
        self,
        isp: Blueprint,
        file: StateFile,
        *,
        clock: Callable[[], datetime] = now,
        tell: Callable[[str], None] = print,
    ) -> None:
        """Raises state.StateError."""
        self.clock = clock
        self._tell = tell
        self.network, self._last_number = file.load(isp, now=clock())
        self._file = file
        self._changed = asyncio.Event()

    @property
    def isp(self) -> Blueprint:
        return self.network.isp

    def save(self) -> None:
        self._file.save(self.network, self._last_number)

    def break_(self, wish: Mapping[str, object]) -> Failure:
        """Something fails now. Raises what `plan_failure` raises, TooManyFailures, OSError."""
        if len(self.network.failures) >= MOST_FAILURES:
            raise TooManyFailures("Enough is broken already; heal something first.")
        failure = plan_failure(f"f{self._last_number + 1}", self.clock(), wish, self.isp)
        self._last_number += 1
        self.network.break_(failure)
        self._announce(f"{failure.at:%H:%M:%S} broken: {failure}")
        return failure

    def heal(self, failure_id: str) -> bool:
        """False if there is no such failure. Raises OSError."""
        failure = self.network.failures.get(failure_id)
        if failure is None:
            return False
        at = self.clock()
        self.network.heal(failure_id, at=at)
        self._announce(f"{at:%H:%M:%S} healed: {failure}")
        return True

    def heal_everything(self) -> None:
        for failure_id in list(self.network.failures):
            self.heal(failure_id)

    def view(self, router: Router) -> View:
        return View(self.network, router, self.clock())

    def way(self, source_address: str, device: str) -> "Way":
        """From whoever asks to a router."""
        return Way(self, self.isp.place_of(source_address), device)

    async def change(self) -> None:
        """Returns when something has broken or healed."""
        await self._changed.wait()

    def _announce(self, news: str) -> None:
        """Whoever waits is woken even if nothing can be written down."""
        self._changed.set()
        self._changed = asyncio.Event()
        self._tell(news)
        self.save()


@dataclass(frozen=True)
class Way:
    """From one place to a router, over whatever links work at the moment."""

    world: World
    place: str
    device: str

    @property
    def is_open(self) -> bool:
        return self.world.network.reaches(self.place, self.device)

    @property
    def round_trip(self) -> timedelta:
        """There and back; nothing while there is no way."""
        if not self.is_open:
            return timedelta(0)
        return 2 * self.world.network.latency(self.place, self.device)

    async def until_open(self) -> None:
        while not self.is_open:
            await self.world.change()
