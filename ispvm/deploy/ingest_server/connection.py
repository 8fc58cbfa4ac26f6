"""One connection, read and written without blocking: handshake, headers, body, response, and again.

Only the main thread of the worker calls it, except for ``Channel``, which the thread has that works on the request.
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
from ispvm.deploy.ingest_server.memory import PIECE, Body, Buffered

#: Read at one go, so that one fast client does not keep the others waiting.
TURN = 4 * PIECE
#: Calls for it: each gives one TLS record at most, which may be of a single byte.
RECEIVES = 16
#: What nginx, which did the handshake, says of the client certificate on the unix socket.
_CERTIFICATE_HEADER = "X-ISPVM-CLIENT-CERTIFICATE"
#: Seconds after which a sender that held too much may try again.
_RETRY_AFTER = 5
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class State(Enum):
    """What a connection waits for; the value names the reason when it waits too long."""

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
    """A request that is answered without the application."""

    def __init__(self, status: str, code: str, detail: str, *, retry_after: int = 0) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.retry_after = retry_after


class Channel:
    """What gunicorn and the application take for the socket. It never blocks: output is collected."""

    def __init__(self, connection: "Connection") -> None:
        self.family = connection.sock.family
        self._connection = connection

    def getpeercert(self, _binary_form: object = None) -> bytes | None:
        """The client certificate as DER, whatever form is wanted."""
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
        self.buffered, self._all_buffered = 0, buffered
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
        self._is_whole = True
        self._body_began = now
        self._discarded = 0

    # What the table asks.

    @property
    def is_idle(self) -> bool:
        return self.state is State.IDLE

    @property
    def is_evictable(self) -> bool:
        return self.state not in {State.WORKING, State.SENDING, State.CLOSED}

    @property
    def has_identity(self) -> bool:
        """Whether a client certificate was shown here, or may have been shown to the proxy."""
        return self.is_local or bool(self.certificate)

    @property
    def sender(self) -> str | bytes:
        """For whom the bytes held here count; empty without a certificate."""
        if not self.is_local or self.request is None:
            return self.certificate
        return next((v for k, v in self.request.headers if k == _CERTIFICATE_HEADER), "")

    # What the worker does.

    def shake_hands(self, now: float) -> bool:
        """Go on with the TLS handshake; whether it is done. Raises OSError."""
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
        """Take in what has arrived; whether more may be there already. Raises Refused, OSError, or what the parser
        raises for headers that it does not accept.

        The state tells what came of it: WORKING is a complete request, CLOSED a client that has left.
        """
        taken = 0
        for _ in range(RECEIVES):
            if taken >= TURN or self.state not in _READING:
                break
            try:
                data = self.sock.recv(PIECE)
            except _WOULD_BLOCK:
                return False
            if not data:
                self._end_of_input()
                return False
            taken += len(data)
            self._take(data, now)
        return self.state in _READING

    def next_request(self, now: float) -> None:
        """Get ready for another request; one that came behind the last is taken at once. Raises as ``read``."""
        rest, self._head = bytes(self._head), bytearray()
        self._forget_request()
        self.state = State.IDLE
        self.deadline = now + (
            self.limits.idle if self.has_identity else self.limits.idle_anonymous
        )
        if rest:
            self._take(rest, now)

    def respond(self, now: float) -> None:
        """Begin to send the output. The request is over: its bytes are given back."""
        self.request = None
        self._give_back()
        self.state, self.deadline = State.SENDING, now + self.limits.send

    def flush(self) -> bool:
        """Send what the client takes; whether all of it is sent. Raises OSError."""
        self.wants_write = False
        while self.output:
            try:
                sent = self.sock.send(bytes(self.output[:PIECE]))
            except _WOULD_BLOCK:
                self.wants_write = True
                return False
            del self.output[:sent]
        return True

    def linger(self, now: float) -> None:
        """End the output, and read on for a while: closing over unread input would take the response back."""
        self._head.clear()
        self._forget_request()
        self.sock.shutdown(socket.SHUT_WR)
        self.state, self.deadline = State.LINGER, now + self.limits.linger

    def late_reason(self, now: float) -> str:
        """Why the connection is closed now; empty when it is not late."""
        if self.state in {State.WORKING, State.CLOSED}:
            return ""
        if now >= self.deadline:
            return str(self.state.value)
        waited = now - self._body_began
        if self.state is State.BODY and waited > self.limits.body_grace:
            return "body_rate" if self._body_size < waited * self.limits.body_rate else ""
        return ""

    def close(self, *, reset: bool = False) -> None:
        """Close the socket; ``reset`` leaves nothing of it in the kernel."""
        self.state = State.CLOSED
        if reset:
            with suppress(OSError):  # the peer was faster: the socket is not connected any more
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self._head.clear()
        self._forget_request()

    @property
    def may_go_on(self) -> bool:
        """Whether the next request's first byte is known: the body was framed and is over."""
        return (
            self.keep_alive and self._is_whole and not getattr(self.request.body, "failed", False)
        )

    # What it does inside.

    def _forget_request(self) -> None:
        self.request, self._scanner, self._left = None, None, 0
        self._give_back()
        self.keep_alive = False

    @property
    def _body_size(self) -> int:
        return self._body.size - self._head_size

    def _give_back(self) -> None:
        self._body.clear()
        self._head_size = 0
        self._all_buffered.complete -= self._complete
        self._complete = 0
        self._count()

    def _count(self) -> None:
        self._all_buffered.add(self._counted_for, -self.buffered)
        self.buffered, self._counted_for = len(self._head) + self._body.size, self.sender
        self._all_buffered.add(self._counted_for, self.buffered)

    def _check_share(self, expected: int = 0) -> None:
        """Refuse this request when its sender holds too much; nobody else's is closed for it."""
        limits, held = self.limits, self._all_buffered
        if self._counted_for and held.of(self._counted_for) + expected > limits.sender_bytes:
            text = f"Requests of this certificate hold over {limits.sender_bytes} bytes. Send them one after another."
            raise Refused(_BUSY, "sender_memory", text, retry_after=_RETRY_AFTER)

    def _complete_request(self) -> None:
        self.state = State.WORKING
        if self._all_buffered.complete + self.buffered > self.limits.complete_bytes:
            text = "Too many requests wait to be worked on. Nothing of this one was stored: send it again."
            raise Refused(_BUSY, "complete_memory", text, retry_after=_RETRY_AFTER)
        self._complete = self.buffered
        self._all_buffered.complete += self._complete

    def _end_of_input(self) -> None:
        if self.state is State.BODY:
            self._is_whole = False  # the application sees that the body is short, and says so
            self._complete_request()
        else:
            self.state = State.CLOSED

    def _take(self, data: bytes, now: float) -> None:
        if self.state is State.LINGER:
            self._discarded += len(data)
            if self._discarded > self.limits.linger_bytes:
                self.state = State.CLOSED
        else:
            in_body = self.state is State.BODY
            is_over = self._take_body(data) if in_body else self._take_head(data, now)
            self._count()
            if self.request is not None:
                self._check_share()
            if is_over:
                self._complete_request()

    def _take_head(self, data: bytes, now: float) -> bool:
        """Whether a whole request is here; ``_take_body`` answers the same."""
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
        return self._take_body(rest)

    def _begin(self, head: bytes, now: float) -> None:
        self._body.add(head)
        self._head_size = len(head)
        self.request = next(get_parser(self.config, self._body.unread(), self.client))
        reader = self.request.body.reader
        self._is_whole = True
        if isinstance(reader, ChunkedReader):
            self._scanner, self._left = ChunkScanner(), None
        else:
            assert isinstance(reader, LengthReader)
            self._left = reader.length
            self._check_size(reader.length)
            self._count()
            self._check_share(reader.length)
        self.state, self.deadline, self._body_began = State.BODY, now + self.limits.body, now
        if self.request._expected_100_continue and self._left != 0:  # noqa: SLF001  (gunicorn would send it too late)
            self.request._expected_100_continue = False  # noqa: SLF001
            self.sock.send(_CONTINUE)

    def _take_body(self, data: bytes) -> bool:
        if self._scanner is not None:
            used = self._scanner.feed(data)
            is_over = self._scanner.is_done
            self._is_whole = self._scanner.is_valid
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
        most = limits.body_bytes if self.has_identity else limits.body_bytes_anonymous
        if size > most:
            raise Refused("413 Content Too Large", "too_large", f"The body is over {most} bytes.")
