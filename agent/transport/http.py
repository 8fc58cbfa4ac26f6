"""One kept connection to the server, with short timeouts: a path that hangs is noticed and tried anew."""

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

from agent.errors import AgentError, Refused, ServerUnreachable
from agent.version import VERSION

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
#: A whole answer has to be there by then, however it drips.
ANSWER_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 2**20
_PIECE = 64 * 1024
_OK = 300
_NOT_MODIFIED = 304
# How a kept connection says that the other side has closed it, with or without a farewell.
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The JSON object in it. Raises ServerUnreachable: whoever answers something else is not our server."""
        try:
            said = json.loads(self.body)
        except ValueError as error:
            raise ServerUnreachable("The server's answer is not JSON.") from error
        if not isinstance(said, dict):
            raise ServerUnreachable("The server's answer is no JSON object.")
        return said


class _Connection(http.client.HTTPSConnection):
    """Connects within one time and reads within another."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(READ_SECONDS)


class Client:
    """Requests to one server over one connection that is kept; for one thread at a time.

    ``source_address`` is the local address to speak from, for hosts with several ways out.
    """

    def __init__(self, url: str, context: ssl.SSLContext, source_address: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise AgentError(f"{url} is no https address.")
        self._host, self._port = parts.hostname, parts.port or 443
        self._prefix = parts.path.rstrip("/") + "/ingest/v1/"
        self._context = context
        self._source = (source_address, 0) if source_address else None
        self._connection: _Connection | None = None
        self._lock = threading.Lock()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", path, None, headers or {})

    def post_json(self, path: str, body: object) -> Answer:
        raw = json.dumps(body).encode()
        return self.request("POST", path, raw, {"Content-Type": "application/json"})

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """One answer of the server. Raises Refused for a status of 400 and up, ServerUnreachable."""
        with self._lock:
            answer = self._exchange(method, path, body, headers)
        if answer.status >= _OK and answer.status != _NOT_MODIFIED:
            raise _refusal(answer)
        return answer

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
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
    ) -> Answer:
        kept = self._connection is not None
        try:
            return self._once(method, path, body, headers)
        except _CLOSED as error:
            self.close()
            if not kept:
                raise ServerUnreachable(f"The server cannot be reached: {_said(error)}") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ServerUnreachable(f"The server cannot be reached: {_said(error)}") from error
        # The server closes idle connections; everything we ask may be asked twice.
        return self._exchange(method, path, body, headers)

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
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
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)


def _read_all(response: http.client.HTTPResponse) -> bytes:
    deadline = time.monotonic() + ANSWER_SECONDS
    content = bytearray()
    while piece := response.read1(_PIECE):
        content += piece
        if len(content) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
            raise OSError("its answer is too large or too slow")
    # read1 does not notice by itself that a body of a known length is over; the connection is kept.
    response.close()
    return bytes(content)


def _refusal(answer: Answer) -> Refused:
    try:
        said = json.loads(answer.body)
        code, detail = str(said["code"]), str(said["detail"])
    except (ValueError, KeyError, TypeError):
        code, detail = "unknown", "its answer is not one of the ingest API."
    return Refused(answer.status, code, detail, _seconds(answer.headers.get("retry-after")))


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(float(text), 0.0), 300.0) if text else None
    except ValueError:
        return None


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
