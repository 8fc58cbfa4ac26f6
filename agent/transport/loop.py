"""Base of the threads that talk to the server: one request after the other, with backoff."""

import logging
import random
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime

from agent.errors import AgentError, RequestRefused, ServerUnreachable

log = logging.getLogger(__name__)


class Backoff:
    """Seconds to wait after each failure in a row: doubling, bounded, with jitter."""

    def __init__(self, first: float, maximum: float, rng: random.Random) -> None:
        self._first = first
        self._max = maximum
        self._rng = rng
        self._failures = 0

    def record_failure(self) -> float:
        wait = min(self._max, self._first * float(1 << min(self._failures, 16)))
        self._failures += 1
        return wait * self._rng.uniform(0.7, 1.0)

    def reset(self) -> None:
        self._failures = 0


class IngestLoop(ABC, threading.Thread):
    """A thread that sends requests to the server. Failures are logged once when they begin and once when they end."""

    first_wait, max_wait = 1.0, 5.0

    def __init__(self, name: str, stop: threading.Event, rng: random.Random) -> None:
        super().__init__(name=name, daemon=True)
        self._stopped = stop
        self._wake = threading.Event()
        self._backoff = Backoff(self.first_wait, self.max_wait, rng)
        self.is_failing = False

    @abstractmethod
    def run_once(self) -> float:
        """Send one request; returns the seconds until the next. Raises RequestRefused, ServerUnreachable."""

    def wake(self) -> None:
        """Send the next request now."""
        self._wake.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            wait = self._attempt()
            if wait > 0 and not self._stopped.is_set():
                self._wait(wait)

    def _wait(self, seconds: float) -> None:
        if self.is_failing:
            self._stopped.wait(seconds)  # new work does not shorten the backoff
        else:
            self._wake.wait(seconds)

    def _attempt(self) -> float:
        try:
            wait = self.run_once()
        except RequestRefused as refusal:
            self._record_failure(str(refusal))
            backoff = self._backoff.record_failure()
            return backoff if refusal.retry_after is None else max(refusal.retry_after, 0.1)
        except (ServerUnreachable, AgentError, OSError) as error:
            self._record_failure(str(error))
            return self._backoff.record_failure()
        except Exception:
            log.exception("server_loop_failed", extra={"loop": self.name})
            self.is_failing = True
            return self._backoff.record_failure()
        if self.is_failing:
            log.info("server_reachable", extra={"loop": self.name})
        self.is_failing = False
        self._backoff.reset()
        return wait

    def _record_failure(self, error: str) -> None:
        level = logging.DEBUG if self.is_failing else logging.WARNING
        log.log(level, "server_request_failed", extra={"loop": self.name, "error": error})
        self.is_failing = True


def parse_time(text: str) -> datetime:
    """Parse a time of the server. Raises ServerUnreachable when it cannot be parsed."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise ServerUnreachable("The server's response holds no valid time.") from error
