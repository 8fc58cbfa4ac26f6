"""A WSGI application whose requests are seen by the process' watchdog (apps.core.liveness).

Only the application's own time counts: a slow client holds nobody up for that.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apps.core import liveness

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WatchedApplication:
    """Calls the application, and takes each part of a streamed response, under the watchdog's eyes."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        what = f"{environ.get('REQUEST_METHOD', '')} {environ.get('PATH_INFO', '')}"
        with liveness.process.working(what):
            response = self._application(environ, start_response)
        # Files and whole responses are handed on as they are: gunicorn sends a file without us.
        return _Parts(response, what) if getattr(response, "streaming", False) else response


class _Parts:
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
        """The server calls it when the response has been sent or the client left."""
        self._response.close()
