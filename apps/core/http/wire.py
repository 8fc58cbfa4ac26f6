"""A socket that ends at a deadline and reads no more than it was told."""

import io
import socket
import time
from collections.abc import Callable
from typing import Any


class DeadlineExceeded(Exception):
    """The wall clock of the whole request ran out."""


class TooMuch(Exception):
    """The other side sent more than may be read."""


class Deadline:
    """A point in monotonic time. Time-outs of single reads would let a drip of bytes live for ever."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.started = clock()
        self.end = self.started + seconds

    def remaining(self, at_most: float | None = None) -> float:
        """Seconds left, never 0. Raises DeadlineExceeded."""
        left = self.end - self._clock()
        if left <= 0:
            raise DeadlineExceeded
        return left if at_most is None else min(left, at_most)

    def elapsed_ms(self) -> int:
        return round((self._clock() - self.started) * 1000)


class Wire:
    """What ``http.client.HTTPResponse`` needs of a socket, and a bounded way to send."""

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

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  (the caller's shape)
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
            raise TooMuch
        self._sock.settimeout(self._deadline.remaining())
        count = self._sock.recv_into(memoryview(buffer)[: self.budget])
        self.budget -= count
        return count
