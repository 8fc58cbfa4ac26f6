"""One persistent connection to the server, with short timeouts: a connection that hangs is replaced soon."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from agent.errors import AgentError, RequestRefused, ServerUnreachable
from agent.version import VERSION

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
#: Limit for a whole response, however slowly it arrives.
RESPONSE_SECONDS = 30.0
MAX_RESPONSE_BYTES = 64 * 2**20
_CHUNK_BYTES = 64 * 1024
_FIRST_REDIRECT = 300
_NOT_MODIFIED = 304
# Errors of a persistent connection that the server has closed, with or without a TLS close_notify.
_CONNECTION_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True)
class Response:
    """A response of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises ServerUnreachable for anything else: it is not the ingest API."""
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise ServerUnreachable("The server's response is not JSON.") from error
        if not isinstance(document, dict):
            raise ServerUnreachable("The server's response is not a JSON object.")
        return document


class _Connection(http.client.HTTPSConnection):
    """One timeout for connecting and another for reading."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(READ_SECONDS)


class Client:
    """Requests to one server over one persistent connection; one thread at a time.

    ``source_address`` is the local address of the connection, for hosts with several.
    """

    def __init__(self, url: str, context: ssl.SSLContext, source_address: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise AgentError(f"{url} is not an https URL.")
        self._host, self._port = parts.hostname, parts.port or 443
        self._prefix = parts.path.rstrip("/") + "/ingest/v1/"
        self._context = context
        self._source = (source_address, 0) if source_address else None
        self._connection: _Connection | None = None
        self._lock = threading.Lock()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        return self.request("GET", path, None, headers or {})

    def post_json(self, path: str, body: object) -> Response:
        raw = json.dumps(body).encode()
        return self.request("POST", path, raw, {"Content-Type": "application/json"})

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        """Send one request. Raises RequestRefused for an error status, ServerUnreachable."""
        with self._lock:
            response = self._exchange(method, path, body, headers)
        if response.status >= _FIRST_REDIRECT and response.status != _NOT_MODIFIED:
            raise _refusal(response)
        return response

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        is_reused = self._connection is not None
        try:
            return self._send(method, path, body, headers)
        except _CONNECTION_CLOSED as error:
            self.close()
            if not is_reused:
                raise ServerUnreachable(
                    f"The server cannot be reached: {_error_text(error)}"
                ) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ServerUnreachable(
                f"The server cannot be reached: {_error_text(error)}"
            ) from error
        # The server closes idle connections; every request of the agent may be repeated.
        return self._exchange(method, path, body, headers)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        connection = self._connection
        if connection is None:
            connection = self._connection = _Connection(
                self._host,
                self._port,
                timeout=CONNECT_SECONDS,
                source_address=self._source,
                context=self._context,
            )
        fixed = {"User-Agent": f"ispvm-agent/{VERSION}", "Accept": "application/json"}
        connection.request(method, self._prefix + path, body, {**fixed, **headers})
        response = connection.getresponse()
        content = _read_all(response)
        if response.will_close:
            self.close()
        return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, content)


def _read_all(response: http.client.HTTPResponse) -> bytes:
    deadline = time.monotonic() + RESPONSE_SECONDS
    content = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_RESPONSE_BYTES or time.monotonic() > deadline:
            raise OSError("its response is too large or too slow")
    # read1 does not mark a body of known length as complete; without this the connection cannot be reused.
    response.close()
    return bytes(content)


def _refusal(response: Response) -> RequestRefused:
    try:
        problem = json.loads(response.body)
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        code, detail = "unknown", "the response is not one of the ingest API."
    return RequestRefused(
        response.status, code, detail, _seconds(response.headers.get("retry-after"))
    )


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(float(text), 0.0), 300.0) if text else None
    except ValueError:
        return None


def _error_text(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
