"""JSON client for the REST API and for the simulator's control API."""

import json
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TIMEOUT_SECONDS = 15
#: No answer, or service unavailable.
UNAVAILABLE = frozenset({0, 503})


class RestError(Exception):
    """A response that is not 2xx, or no response (status 0)."""

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        super().__init__(f"{method} {path}: {status} {body[:300]}")
        self.status = status


class Rest:
    """Client of one server, with a connection per request: servers are restarted during the demo."""

    def __init__(self, base_url: str, token: str = "", *, patience_seconds: float = 0) -> None:
        #: How long reads are retried without an answer while a server restarts.
        self._patience_seconds = patience_seconds
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str) -> Any:
        """GET."""
        return self._send_with_retries("GET", f"{path}?{urlencode(query)}" if query else path)

    def all(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """All rows of a paginated list."""
        cursor: dict[str, str] = {"page_size": "500"}
        while True:
            page = self.get(path, **query, **cursor)
            yield from page["results"]
            following = page.get("next")
            if not following:
                return
            cursor["cursor"] = parse_qs(urlsplit(following).query)["cursor"][0]

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST."""
        return self._send("POST", path, body or {})

    def post_readonly(self, path: str) -> Any:
        """A POST without side effects, retried like a read."""
        return self._send_with_retries("POST", path, {})

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """PATCH."""
        return self._send("PATCH", path, body)

    def delete(self, path: str) -> None:
        """DELETE."""
        self._send("DELETE", path)

    def _send_with_retries(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Any:
        until = time.monotonic() + self._patience_seconds
        while True:
            try:
                return self._send(method, path, body)
            except RestError as error:
                if error.status not in UNAVAILABLE or time.monotonic() > until:
                    raise
            time.sleep(0.5)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Raises RestError."""
        connection = HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        headers = dict(self._headers)
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, self._prefix + path, payload, headers)
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, HTTPException) as error:
            raise RestError(method, path, 0, str(error)) from error
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise RestError(method, path, response.status, text)
        return json.loads(text) if text else None
