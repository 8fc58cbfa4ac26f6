"""A WSGI application whose requests are monitored by the watchdog (apps.core.liveness).

Only the time of the application counts, not the time spent waiting for a slow client.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from apps.core import liveness

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WatchedApplication:
    """Monitors calls of the application and each part of a streamed response."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        what = f"{environ.get('REQUEST_METHOD', '')} {environ.get('PATH_INFO', '')}"
        alive = liveness.process
        with alive.working(what) as number:
            if "wsgi.input" in environ:
                body = _Body(environ["wsgi.input"], lambda: alive.waiting(number))
                environ = {**environ, "wsgi.input": body}
            response = self._application(environ, start_response)
        # Files and complete responses are returned as they are: gunicorn sends them itself.
        return (
            _MonitoredParts(response, what) if getattr(response, "streaming", False) else response
        )


class _Body:
    """The request's body: reading it waits for the client."""

    def __init__(self, body: Any, waiting: Callable[[], AbstractContextManager[None]]) -> None:
        self._body = body
        self._waiting = waiting

    def read(self, *size: int) -> bytes:
        with self._waiting():
            return bytes(self._body.read(*size))

    def readline(self, *size: int) -> bytes:
        with self._waiting():
            return bytes(self._body.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        with self._waiting():
            return list(self._body.readlines(*hint))

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line


class _MonitoredParts:
    def __init__(self, response: Any, what: str) -> None:
        self._response = response
        self._what = what

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._response)
        while True:
            with liveness.process.working(self._what):
                part = next(parts, None)
            if part is None:
                return
            yield part

    def close(self) -> None:
        """Called by the server when the response has been sent or the client disconnected."""
        self._response.close()
