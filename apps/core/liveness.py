"""Detection of hung threads, and a watchdog that ends a process with hung threads.

gunicorn and Celery's thread pool detect a hung main loop but not a hung thread, which occupies a worker slot until
the process has none left. The process manager then restarts the process, and unfinished work is repeated.
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
#: After a thread hangs, other threads get this long to finish.
GRACE_SECONDS = 10.0
EXIT_CODE = 70


@dataclass(frozen=True)
class Work:
    """One unit of work of a thread."""

    what: str
    thread: int
    until: float


class Liveness:
    """The current work of the threads of this process. Thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._work: dict[int, Work] = {}
        self._number = 0

    def start(self, what: str, *, within: float | None = None) -> int:
        """Register work of this thread that must finish within ``within`` seconds; returns a number for ``finish``."""
        seconds = HUNG_AFTER_SECONDS if within is None else within
        work = Work(what, threading.get_ident(), self._monotonic() + seconds)
        with self._lock:
            self._number += 1
            self._work[self._number] = work
            return self._number

    def finish(self, number: int) -> None:
        """Remove the work. Idempotent."""
        with self._lock:
            self._work.pop(number, None)

    @contextmanager
    def working(self, what: str, *, within: float | None = None) -> Iterator[int]:
        """The body must finish within ``within`` seconds; yields the number for ``waiting``."""
        number = self.start(what, within=within)
        try:
            yield number
        finally:
            self.finish(number)

    @contextmanager
    def waiting(self, number: int) -> Iterator[None]:
        """The body waits for a client: its time does not count towards the limit."""
        started = self._monotonic()
        with self._lock:
            work = self._work.pop(number, None)
        try:
            yield
        finally:
            if work is not None:
                more = self._monotonic() - started
                with self._lock:
                    self._work[number] = replace(work, until=work.until + more)

    def hung(self) -> list[Work]:
        """Work past its time limit."""
        now = self._monotonic()
        with self._lock:
            return [work for work in self._work.values() if work.until <= now]


#: Of this process; a forked child gets a new one.
process = Liveness()


def _reset_after_fork() -> None:
    global process
    process = Liveness()


os.register_at_fork(after_in_child=_reset_after_fork)


def watch(end: Callable[[], None] | None = None) -> threading.Thread:
    """Start the watchdog of this process; it calls ``end`` if a thread hangs."""
    thread = threading.Thread(
        target=_watch, args=[process, end or end_process], name="watchdog", daemon=True
    )
    thread.start()
    return thread


def _watch(liveness: Liveness, end: Callable[[], None]) -> None:
    while not (hung := liveness.hung()):
        time.sleep(CHECK_SECONDS)
    frames = sys._current_frames()  # noqa: SLF001  (the only way to read other threads' stacks)
    for work in hung:
        frame = frames.get(work.thread)
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        log.error("thread_hung", what=work.what, stack=stack)
    end()


def end_process() -> None:
    """Stop the server gracefully, so that other threads can finish, then end the process."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(EXIT_CODE)
