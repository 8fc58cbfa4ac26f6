"""Whether this process still works: what its threads are at, and a watchdog that ends a process whose threads hang.

gunicorn and Celery's thread pool notice a main loop that hangs, not a thread: one that waits for ever holds its place
until the process has none left. Whoever started the process starts another, and what was not finished is done again.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

log = structlog.get_logger(__name__)

#: Twice what the database allows a statement (60 s), and more than any request or task may take.
HUNG_AFTER_SECONDS = 120.0
CHECK_SECONDS = 1.0
#: What other threads are at may end for so long once one hangs.
GRACE_SECONDS = 10.0
EXIT_CODE = 70


@dataclass(frozen=True)
class Work:
    """One thing that a thread is at."""

    what: str
    thread: int
    until: float


class Liveness:
    """What the threads of this process are at. Safe from any thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._work: dict[int, Work] = {}
        self._number = 0

    def start(self, what: str, *, within: float | None = None) -> int:
        """This thread begins something that takes less than ``within`` seconds; returns a number for ``finish``."""
        seconds = HUNG_AFTER_SECONDS if within is None else within
        work = Work(what, threading.get_ident(), self._monotonic() + seconds)
        with self._lock:
            self._number += 1
            self._work[self._number] = work
            return self._number

    def finish(self, number: int) -> None:
        """It is done. Safe to call twice."""
        with self._lock:
            self._work.pop(number, None)

    @contextmanager
    def working(self, what: str, *, within: float | None = None) -> Iterator[int]:
        """The body takes less than ``within`` seconds; gives the number for ``waiting``."""
        number = self.start(what, within=within)
        try:
            yield number
        finally:
            self.finish(number)

    @contextmanager
    def waiting(self, number: int) -> Iterator[None]:
        """The body waits for a client: it takes nothing of the time that this work has."""
        began = self._monotonic()
        with self._lock:
            work = self._work.pop(number, None)
        try:
            yield
        finally:
            if work is not None:
                more = self._monotonic() - began
                with self._lock:
                    self._work[number] = replace(work, until=work.until + more)

    def hung(self) -> list[Work]:
        """What should have ended by now."""
        now = self._monotonic()
        with self._lock:
            return [work for work in self._work.values() if work.until <= now]


#: Of this process. A fork has its own: it begins with nothing.
process = Liveness()


def _forget_parent() -> None:
    global process
    process = Liveness()


os.register_at_fork(after_in_child=_forget_parent)


def watch(end: Callable[[], None] | None = None) -> threading.Thread:
    """Start the watchdog of this process; ``end`` is what it does when a thread hangs."""
    thread = threading.Thread(
        target=_watch, args=[process, end or end_process], name="watchdog", daemon=True
    )
    thread.start()
    return thread


def _watch(liveness: Liveness, end: Callable[[], None]) -> None:
    while not (hung := liveness.hung()):
        time.sleep(CHECK_SECONDS)
    frames = sys._current_frames()  # noqa: SLF001  (there is no other way to other threads' stacks)
    for work in hung:
        frame = frames.get(work.thread)
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        log.error("thread_hung", what=work.what, stack=stack)
    end()


def end_process() -> None:
    """Have the server end as for a stop, which finishes what other threads are at, and then end whatever hangs."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(EXIT_CODE)
