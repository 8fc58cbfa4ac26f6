"""One connection, read and written without blocking: handshake, headers, body, response, next request.

Only the main thread of the worker calls it, except for ``Channel``, which the thread that handles the request uses.
"""

import socket
import ssl
import struct
from contextlib import suppress
from enum import Enum
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.body import ChunkedReader, LengthReader

from ispvm.deploy.ingest_server.framing import HEADERS_END, ChunkScanner
from ispvm.deploy.ingest_server.limits import Limits
from ispvm.deploy.ingest_server.memory import CHUNK_SIZE, Body, Buffered

#: Maximum read in one call, so that a fast client does not delay the others.
MAX_READ_BYTES = 4 * CHUNK_SIZE
#: Maximum ``recv`` calls for it: each returns at most one TLS record, which may be a single byte.
MAX_RECEIVES = 16
#: The client certificate from nginx, which did the handshake, on the unix socket.
_CERTIFICATE_HEADER = "X-ISPVM-CLIENT-CERTIFICATE"
#: Seconds after which a sender over its memory limit may try again.
_RETRY_AFTER = 5
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class State(Enum):
    """What a connection is waiting for; the value is the reason in the metric when it times out."""

    HANDSHAKE = "handshake"
    IDLE = "idle"
    HEADERS = "headers"
    BODY = "body"
    WORKING = "working"
    SENDING = "send"
    LINGER = "linger"
    CLOSED = "closed"


_READING = frozenset({State.IDLE, State.HEADERS, State.BODY, State.LINGER})
_BUSY = "503 Service Unavailable"


class Refused(Exception):
    """A request that is answered without calling the application."""

    def __init__(self, status: str, code: str, detail: str, *, retry_after: int = 0) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.retry_after = retry_after


class Channel:
    """The socket as gunicorn and the application see it. It never blocks: output is buffered."""

    def __init__(self, connection: "Connection") -> None:
        self.family = connection.sock.family
        self._connection = connection

    def getpeercert(self, _binary_form: object = None) -> bytes | None:
        """The client certificate as DER, whichever form is requested."""
        return self._connection.certificate or None

    def sendall(self, data: bytes) -> None:
        self._connection.output += data

    send = sendall

    def gettimeout(self) -> float:
        return 0.0

    def shutdown(self, how: int) -> None:
        """The main thread ends the connection."""

    def close(self) -> None:
        """The main thread closes it."""


class Connection:
    """The state of one client's connection."""

    def __init__(
        self,
        *,
        config: Any,
        sock: socket.socket,
        client: Any,
        server: Any,
        limits: Limits,
        buffered: Buffered,
        now: float,
    ) -> None:
        self.config, self.limits = config, limits
        self.sock, self.client, self.server = sock, client, server
        self.is_local = sock.family == socket.AF_UNIX
        self.address = "" if self.is_local else str(client[0])
        self.certificate = b""
        self.state = State.HANDSHAKE if isinstance(sock, ssl.SSLSocket) else State.HEADERS
        self.deadline = now + (
            limits.handshake if self.state is State.HANDSHAKE else limits.headers
        )
        self.wants_write = False
        self.buffered, self._total_buffered = 0, buffered
        self.output = bytearray()
        self.request: Any = None
        self.keep_alive = False
        self.channel = Channel(self)
        self._head = bytearray()
        self._body, self._head_size = Body(), 0
        self._counted_for: str | bytes = b""
        self._complete = 0
        self._left: int | None = 0
        self._scanner: ChunkScanner | None = None
        self._is_complete = True
        self._body_began = now
        self._discarded = 0

    @property
    def is_idle(self) -> bool:
        return self.state is State.IDLE

    @property
    def is_evictable(self) -> bool:
        return self.state not in {State.WORKING, State.SENDING, State.CLOSED}

    @property
    def has_identity(self) -> bool:
        """Whether a client certificate was presented here, or may have been presented to the proxy."""
        return self.is_local or bool(self.certificate)

    @property
    def sender(self) -> str | bytes:
        """The certificate whose memory limit the bytes of this connection count for; empty without one."""
        if not self.is_local or self.request is None:
            return self.certificate
        return next((v for k, v in self.request.headers if k == _CERTIFICATE_HEADER), "")

    def continue_handshake(self, now: float) -> bool:
        """Continue the TLS handshake; whether it is done. Raises OSError."""
        assert isinstance(self.sock, ssl.SSLSocket)
        self.wants_write = False
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return False
        self.certificate = self.sock.getpeercert(True) or b""
        self.state, self.deadline = State.HEADERS, now + self.limits.headers
        return True

    def read(self, now: float) -> bool:
        """Read what has arrived; whether more may be available already. Raises Refused, OSError, or the parser's error
        for headers that it does not accept.

        The resulting state: WORKING for a complete request, CLOSED for a client that has disconnected.
        """
        received = 0
        for _ in range(MAX_RECEIVES):
            if received >= MAX_READ_BYTES or self.state not in _READING:
                break
            try:
                data = self.sock.recv(CHUNK_SIZE)
            except _WOULD_BLOCK:
                return False
            if not data:
                self._end_of_input()
                return False
            received += len(data)
            self._feed(data, now)
        return self.state in _READING

    def next_request(self, now: float) -> None:
        """Prepare for another request; pipelined input is processed at once. Raises as ``read``."""
        rest, self._head = bytes(self._head), bytearray()
        self._reset_request()
        self.state = State.IDLE
        self.deadline = now + (
            self.limits.idle if self.has_identity else self.limits.idle_anonymous
        )
        if rest:
            self._feed(rest, now)

    def respond(self, now: float) -> None:
        """Begin to send the output, and release the memory of the request."""
        self.request = None
        self._release_memory()
        self.state, self.deadline = State.SENDING, now + self.limits.send

    def flush(self) -> bool:
        """Send as much output as the socket accepts; whether all of it is sent. Raises OSError."""
        self.wants_write = False
        while self.output:
            try:
                sent = self.sock.send(bytes(self.output[:CHUNK_SIZE]))
            except _WOULD_BLOCK:
                self.wants_write = True
                return False
            del self.output[:sent]
        return True

    def linger(self, now: float) -> None:
        """Shut down the output and keep reading for a while: closing with unread input would reset the connection and
        discard the response."""
        self._head.clear()
        self._reset_request()
        self.sock.shutdown(socket.SHUT_WR)
        self.state, self.deadline = State.LINGER, now + self.limits.linger

    def timeout_reason(self, now: float) -> str:
        """The reason to close the connection now; empty when it has not timed out."""
        if self.state in {State.WORKING, State.CLOSED}:
            return ""
        if now >= self.deadline:
            return str(self.state.value)
        waited = now - self._body_began
        if self.state is State.BODY and waited > self.limits.body_grace:
            return "body_rate" if self._body_size < waited * self.limits.body_rate else ""
        return ""

    def close(self, *, reset: bool = False) -> None:
        """Close the socket; ``reset`` discards unsent data in the kernel."""
        self.state = State.CLOSED
        if reset:
            with suppress(OSError):  # the peer may have disconnected already
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self._head.clear()
        self._reset_request()

    @property
    def can_keep_alive(self) -> bool:
        """Whether the connection can serve another request: the body was complete and well framed."""
        return (
            self.keep_alive
            and self._is_complete
            and not getattr(self.request.body, "failed", False)
        )

    def _reset_request(self) -> None:
        self.request, self._scanner, self._left = None, None, 0
        self._release_memory()
        self.keep_alive = False

    @property
    def _body_size(self) -> int:
        return self._body.size - self._head_size

    def _release_memory(self) -> None:
        self._body.clear()
        self._head_size = 0
        self._total_buffered.complete -= self._complete
        self._complete = 0
        self._count()

    def _count(self) -> None:
        self._total_buffered.add(self._counted_for, -self.buffered)
        self.buffered, self._counted_for = len(self._head) + self._body.size, self.sender
        self._total_buffered.add(self._counted_for, self.buffered)

    def _check_sender_memory(self, expected: int = 0) -> None:
        """Refuse this request when its sender is over its memory limit; other connections are not affected."""
        limits, total = self.limits, self._total_buffered
        if self._counted_for and total.of(self._counted_for) + expected > limits.sender_bytes:
            text = f"Requests of this certificate use over {limits.sender_bytes} bytes. Send them one after another."
            raise Refused(_BUSY, "sender_memory", text, retry_after=_RETRY_AFTER)

    def _complete_request(self) -> None:
        self.state = State.WORKING
        if self._total_buffered.complete + self.buffered > self.limits.complete_bytes:
            text = "Too many requests are queued. Nothing of this one was stored: send it again."
            raise Refused(_BUSY, "complete_memory", text, retry_after=_RETRY_AFTER)
        self._complete = self.buffered
        self._total_buffered.complete += self._complete

    def _end_of_input(self) -> None:
        if self.state is State.BODY:
            self._is_complete = (
                False  # the application sees that the body is truncated, and responds with an error
            )
            self._complete_request()
        else:
            self.state = State.CLOSED

    def _feed(self, data: bytes, now: float) -> None:
        if self.state is State.LINGER:
            self._discarded += len(data)
            if self._discarded > self.limits.linger_bytes:
                self.state = State.CLOSED
        else:
            in_body = self.state is State.BODY
            is_over = self._feed_body(data) if in_body else self._feed_head(data, now)
            self._count()
            if self.request is not None:
                self._check_sender_memory()
            if is_over:
                self._complete_request()

    def _feed_head(self, data: bytes, now: float) -> bool:
        """Whether the request is complete; ``_feed_body`` returns the same."""
        if self.state is State.IDLE:
            self.state, self.deadline = State.HEADERS, now + self.limits.headers
        start = max(0, len(self._head) - len(HEADERS_END) + 1)
        self._head += data
        end = self._head.find(HEADERS_END, start)
        if end < 0 or end > self.limits.header_bytes:
            if len(self._head) > self.limits.header_bytes:
                text = f"The headers are over {self.limits.header_bytes} bytes."
                raise Refused("431 Request Header Fields Too Large", "headers_too_large", text)
            return False
        end += len(HEADERS_END)
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        self._head.clear()
        self._begin(head, now)
        return self._feed_body(rest)

    def _begin(self, head: bytes, now: float) -> None:
        self._body.add(head)
        self._head_size = len(head)
        self.request = next(get_parser(self.config, self._body.unread(), self.client))
        reader = self.request.body.reader
        self._is_complete = True
        if isinstance(reader, ChunkedReader):
            self._scanner, self._left = ChunkScanner(), None
        else:
            assert isinstance(reader, LengthReader)
            self._left = reader.length
            self._check_size(reader.length)
            self._count()
            self._check_sender_memory(reader.length)
        self.state, self.deadline, self._body_began = State.BODY, now + self.limits.body, now
        if self.request._expected_100_continue and self._left != 0:  # noqa: SLF001  (gunicorn would send it too late)
            self.request._expected_100_continue = False  # noqa: SLF001
            self.sock.send(_CONTINUE)

    def _feed_body(self, data: bytes) -> bool:
        if self._scanner is not None:
            used = self._scanner.feed(data)
            is_over = self._scanner.is_done
            self._is_complete = self._scanner.is_valid
        else:
            used = min(len(data), self._left or 0)
            self._left = (self._left or 0) - used
            is_over = not self._left
        if used:
            self._body.add(data[:used])
            if self._scanner is not None:
                self._check_size(self._body_size)
        if is_over:
            self._head += data[used:]
        return is_over

    def _check_size(self, size: int) -> None:
        limits = self.limits
        maximum = limits.body_bytes if self.has_identity else limits.body_bytes_anonymous
        if size > maximum:
            raise Refused(
                "413 Content Too Large", "too_large", f"The body is over {maximum} bytes."
            )
