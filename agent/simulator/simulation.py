"""The running simulation: injects and heals failures, saves the state, and notifies waiting connections."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.simulator.blueprint import Blueprint, Router
from agent.simulator.changes import Change
from agent.simulator.failures import Failure, create_failure
from agent.simulator.menus.view import View
from agent.simulator.routes import Route
from agent.simulator.state import StateFile

MAX_FAILURES = 100
MAX_CHANGES = 1000


class TooManyFailures(ValueError):
    """The limit of failures or changes is reached."""

    code = "too_many_failures"


def now() -> datetime:
    return datetime.now(UTC)


class Simulation:
    """One running simulation."""

    def __init__(
        self,
        isp: Blueprint,
        file: StateFile,
        *,
        clock: Callable[[], datetime] = now,
        log: Callable[[str], None] = print,
    ) -> None:
        """Raises state.StateError."""
        self.clock = clock
        self._log = log
        self.network, self._last_number = file.load(isp, now=clock())
        self._file = file
        self._changed = asyncio.Event()

    @property
    def isp(self) -> Blueprint:
        return self.network.isp

    def save(self) -> None:
        self._file.save(self.network, self._last_number)

    def inject(self, spec: Mapping[str, object]) -> Failure | Change:
        """Inject a failure or a configuration change now.

        Raises the errors of `create_failure` and `Change.create`, TooManyFailures, OSError.
        """
        self.network.advance(self.clock())
        if spec.get("kind") == Change.kind:
            return self._change(spec)
        if len(self.network.failures) >= MAX_FAILURES:
            raise TooManyFailures("Too many failures; heal one first.")
        failure = create_failure(f"f{self._last_number + 1}", self.clock(), spec, self.isp)
        self._last_number += 1
        self.network.inject(failure)
        self._publish(f"{failure.at:%H:%M:%S} broken: {failure}")
        return failure

    def _change(self, spec: Mapping[str, object]) -> Change:
        if len(self.network.changes) >= MAX_CHANGES:
            raise TooManyFailures("Too many changes.")
        change = Change.create(f"c{self._last_number + 1}", self.clock(), spec, self.isp)
        self._last_number += 1
        self.network.changes.append(change)
        self._publish(f"{change.at:%H:%M:%S} changed: {change}")
        return change

    def heal(self, failure_id: str) -> bool:
        """False if there is no such failure. Raises OSError."""
        self.network.advance(self.clock())
        failure = self.network.failures.get(failure_id)
        if failure is None:
            return False
        at = self.clock()
        self.network.heal(failure_id, at=at)
        self._publish(f"{at:%H:%M:%S} healed: {failure}")
        return True

    def heal_all(self) -> None:
        for failure_id in list(self.network.failures):
            self.heal(failure_id)

    async def run(self) -> None:
        """Apply changes without user action, such as flapping links and finished boots, until cancelled."""
        while True:
            change_at = self.network.next_change_at()
            wait = (
                None if change_at is None else max(0.0, (change_at - self.clock()).total_seconds())
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self.wait_for_change()
            self._advance()

    def _advance(self) -> None:
        before, at = self.network.failures, self.clock()
        if not self.network.advance(at):
            return
        ended = [str(f) for key, f in before.items() if key not in self.network.failures]
        for failure in ended:
            self._log(f"{at:%H:%M:%S} ended: {failure}")
        self._notify()
        with contextlib.suppress(OSError):  # the next user action reports it
            self.save()

    def view(self, router: Router) -> View:
        return View(self.network, router, self.clock())

    def path(self, source_address: str, device: str) -> "NetworkPath":
        """The path from a client to a router."""
        return NetworkPath(self, self.isp.attachment_of(source_address), device)

    async def wait_for_change(self) -> None:
        """Return after the next change of the network."""
        await self._changed.wait()

    def api_path(self, source_address: str, device: str) -> "ApiPath":
        """The path from a client to the API of a router."""
        return ApiPath(self, self.isp.attachment_of(source_address), device)

    def session_path(self, source_address: str, device: str) -> "ApiPath":
        """The same for an open session, which ends when the router reboots."""
        return replace(self.api_path(source_address, device), boots=self.boots(device))

    def boots(self, device: str) -> int:
        """Number of boots of a router."""
        return self.network.record_of(self.isp.router(device)).downs

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _publish(self, message: str) -> None:
        """Notify waiting connections even when the state cannot be saved."""
        self._notify()
        self._log(message)
        self.save()


@dataclass(frozen=True)
class NetworkPath:
    """The path from one router to another, over the links that are up now."""

    simulation: Simulation
    origin: str
    device: str

    @property
    def is_open(self) -> bool:
        return self.simulation.network.reaches(self.origin, self.device)

    @property
    def round_trip(self) -> timedelta:
        """Round-trip time; zero while there is no path."""
        if not self.is_open:
            return timedelta(0)
        return 2 * self.simulation.network.latency(self.origin, self.device)

    @property
    def is_reset(self) -> bool:
        """Whether the far end no longer knows the connection."""
        return False

    @property
    def route(self) -> Route:
        """Raises KeyError while there is no path."""
        return self.simulation.network.route(self.origin, self.device)

    async def wait_until_open(self) -> None:
        while not self.is_open:
            await self.simulation.wait_for_change()


@dataclass(frozen=True)
class ApiPath(NetworkPath):
    """The path to a router's API, which may be unresponsive on a router that forwards traffic."""

    boots: int | None = None

    @property
    def is_open(self) -> bool:
        return super().is_open and self.simulation.network.answers_api(self.device)

    @property
    def is_reset(self) -> bool:
        """After a reboot the router resets old connections."""
        return self.boots not in {None, self.simulation.boots(self.device)}
