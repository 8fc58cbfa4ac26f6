"""A socket with a deadline and a limit of received bytes."""

import io
import socket
import time
from collections.abc import Callable
from typing import Any


class DeadlineExceeded(Exception):
    """The time limit of the whole request is exceeded."""


class ResponseTooLarge(Exception):
    """The response is larger than its limit."""


class Deadline:
    """A point in monotonic time. Timeouts of single reads would not limit a slow stream of bytes."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.started = clock()
        self.end = self.started + seconds

    def remaining(self, at_most: float | None = None) -> float:
        """Seconds left, never 0. Raises DeadlineExceeded."""
        seconds = self.end - self._clock()
        if seconds <= 0:
            raise DeadlineExceeded
        return seconds if at_most is None else min(seconds, at_most)

    def elapsed_ms(self) -> int:
        return round((self._clock() - self.started) * 1000)


class BoundedSocket:
    """The part of a socket that ``http.client.HTTPResponse`` uses, and a bounded ``send``."""

    def __init__(self, sock: socket.socket, deadline: Deadline, budget: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self.reader = _BoundedReader(sock, deadline, budget)

    def send(self, data: bytes) -> None:
        """Send everything. Raises OSError or DeadlineExceeded."""
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._deadline.remaining())
            view = view[self._sock.send(view) :]

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  (signature of socket.makefile)
        return io.BufferedReader(self.reader, buffer_size=4096)


class _BoundedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline, budget: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self.budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.budget <= 0:
            raise ResponseTooLarge
        self._sock.settimeout(self._deadline.remaining())
        count = self._sock.recv_into(memoryview(buffer)[: self.budget])
        self.budget -= count
        return count
