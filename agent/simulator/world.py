"""The network in motion: breaks and heals it, remembers it, and wakes whoever waits for a path."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.simulator.blueprint import Blueprint, Router
from agent.simulator.changes import Change
from agent.simulator.failures import Failure, plan_failure
from agent.simulator.menus.view import View
from agent.simulator.reach import Trip
from agent.simulator.state import StateFile

MOST_FAILURES = 100
MOST_CHANGES = 1000


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

    def break_(self, wish: Mapping[str, object]) -> Failure | Change:
        """Something fails or is changed now.

        Raises what `plan_failure` and `Change.plan` raise, TooManyFailures, OSError.
        """
        self.network.advance(self.clock())
        if wish.get("kind") == Change.kind:
            return self._change(wish)
        if len(self.network.failures) >= MOST_FAILURES:
            raise TooManyFailures("Enough is broken already; heal something first.")
        failure = plan_failure(f"f{self._last_number + 1}", self.clock(), wish, self.isp)
        self._last_number += 1
        self.network.break_(failure)
        self._announce(f"{failure.at:%H:%M:%S} broken: {failure}")
        return failure

    def _change(self, wish: Mapping[str, object]) -> Change:
        if len(self.network.changes) >= MOST_CHANGES:
            raise TooManyFailures("Enough has been changed already.")
        change = Change.plan(f"c{self._last_number + 1}", self.clock(), wish, self.isp)
        self._last_number += 1
        self.network.changes.append(change)
        self._announce(f"{change.at:%H:%M:%S} changed: {change}")
        return change

    def heal(self, failure_id: str) -> bool:
        """False if there is no such failure. Raises OSError."""
        self.network.advance(self.clock())
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

    async def run(self) -> None:
        """Lets happen what happens by itself: links flap, routers finish booting. Until it is cancelled."""
        while True:
            turn = self.network.next_turn()
            wait = None if turn is None else max(0.0, (turn - self.clock()).total_seconds())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self.change()
            self._live_on()

    def _live_on(self) -> None:
        before, at = self.network.failures, self.clock()
        if not self.network.advance(at):
            return
        over = [str(f) for key, f in before.items() if key not in self.network.failures]
        for failure in over:
            self._tell(f"{at:%H:%M:%S} over: {failure}")
        self._wake()
        with contextlib.suppress(OSError):  # the next change that somebody makes tells them
            self.save()

    def view(self, router: Router) -> View:
        return View(self.network, router, self.clock())

    def way(self, source_address: str, device: str) -> "Way":
        """From whoever asks to a router."""
        return Way(self, self.isp.place_of(source_address), device)

    async def change(self) -> None:
        """Returns when something has broken or healed."""
        await self._changed.wait()

    def api_way(self, source_address: str, device: str) -> "ApiWay":
        """From whoever asks to the API of a router."""
        return ApiWay(self, self.isp.place_of(source_address), device)

    def session_way(self, source_address: str, device: str) -> "ApiWay":
        """The same, for a session that has begun: it ends when the router starts anew."""
        return replace(self.api_way(source_address, device), boots=self.boots(device))

    def boots(self, device: str) -> int:
        """How often it has started anew."""
        return self.network.record_of(self.isp.router(device)).downs

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _announce(self, news: str) -> None:
        """Whoever waits is woken even if nothing can be written down."""
        self._wake()
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

    @property
    def is_lost(self) -> bool:
        """Whether whoever was at the far end has forgotten us."""
        return False

    @property
    def trip(self) -> Trip:
        """KeyError while there is no way."""
        return self.world.network.trip(self.place, self.device)

    async def until_open(self) -> None:
        while not self.is_open:
            await self.world.change()


@dataclass(frozen=True)
class ApiWay(Way):
    """The way to a router's API, which may be silent on a router that forwards well."""

    boots: int | None = None

    @property
    def is_open(self) -> bool:
        return super().is_open and self.world.network.answers_api(self.device)

    @property
    def is_lost(self) -> bool:
        """A router that has started anew answers old connections with a reset."""
        return self.boots not in {None, self.world.boots(self.device)}
