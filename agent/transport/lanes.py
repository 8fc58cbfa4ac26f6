"""The loops that keep in touch: heartbeat, config with renewal, and the push of batches."""

import logging
import random
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime

from agent.errors import AgentError, Refused, ServerUnreachable

log = logging.getLogger(__name__)


class Backoff:
    """Seconds to wait after each failure in a row: doubling, bounded, with jitter."""

    def __init__(self, first: float, most: float, rng: random.Random) -> None:
        self._first = first
        self._most = most
        self._rng = rng
        self._failures = 0

    def failed(self) -> float:
        wait = min(self._most, self._first * float(1 << min(self._failures, 16)))
        self._failures += 1
        return wait * self._rng.uniform(0.7, 1.0)

    def succeeded(self) -> None:
        self._failures = 0


class LaneLoop(ABC, threading.Thread):
    """A thread that talks to the server again and again. A failure is logged when it begins and when it ends."""

    first_wait, most_wait = 1.0, 5.0

    def __init__(self, name: str, stop: threading.Event, rng: random.Random) -> None:
        super().__init__(name=name, daemon=True)
        self._stopped = stop
        self._wake = threading.Event()
        self._backoff = Backoff(self.first_wait, self.most_wait, rng)
        self.is_failing = False

    @abstractmethod
    def once(self) -> float:
        """One exchange; answers the seconds until the next. Raises Refused, ServerUnreachable."""

    def wake(self) -> None:
        """Do the next exchange now."""
        self._wake.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            wait = self._try()
            if wait > 0 and not self._stopped.is_set():
                self._wait(wait)

    def _wait(self, seconds: float) -> None:
        if self.is_failing:
            self._stopped.wait(seconds)  # new work is no reason to knock sooner
        else:
            self._wake.wait(seconds)

    def _try(self) -> float:
        try:
            wait = self.once()
        except Refused as refusal:
            self._fail(str(refusal))
            own = self._backoff.failed()
            return own if refusal.retry_after is None else max(refusal.retry_after, 0.1)
        except (ServerUnreachable, AgentError, OSError) as error:
            self._fail(str(error))
            return self._backoff.failed()
        except Exception:
            log.exception("lane failed", extra={"lane": self.name})
            self.is_failing = True
            return self._backoff.failed()
        if self.is_failing:
            log.info("server answers again", extra={"lane": self.name})
        self.is_failing = False
        self._backoff.succeeded()
        return wait

    def _fail(self, said: str) -> None:
        level = logging.DEBUG if self.is_failing else logging.WARNING
        log.log(level, "%s", said, extra={"lane": self.name})
        self.is_failing = True


def parse_time(text: str) -> datetime:
    """The server's clock; raises ServerUnreachable for what is no time."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise ServerUnreachable("The server's answer holds no time.") from error
