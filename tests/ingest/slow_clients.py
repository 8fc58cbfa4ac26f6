"""Slow clients: they reconnect as soon as the server drops them, so that their number stays constant."""

import errno
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Self

from agent.transport.tls import unverified_context

KINDS = ("idle", "handshake", "headers", "body", "keep_alive")
BYTE_INTERVAL_SECONDS = 0.5
#: New connections per turn of the loop; there are up to twenty turns a second.
CONNECTS_PER_TURN = 10
_HEAD = b"POST /ingest/v1/enroll HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
_NOT_CONNECTED = {errno.ENOTCONN, errno.EINPROGRESS}
_GET = b"GET /ingest/v1/ca HTTP/1.1\r\nHost: a\r\n\r\n"


def loopback_addresses(number: int) -> list[str]:
    """This number of different loopback addresses."""
    return [f"127.{100 + n // 250}.0.{1 + n % 250}" for n in range(number)]


class _Slow:
    """One slow client: connects without blocking, then sends single bytes or nothing."""

    def __init__(self, port: int, kind: str, source: str) -> None:
        self.kind = kind
        self.raw = socket.socket()
        self.raw.setblocking(False)
        self.raw.bind((source, 0))
        with suppress(BlockingIOError):
            self.raw.connect(("127.0.0.1", port))
        self._to_server, self._to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = unverified_context().wrap_bio(self._to_client, self._to_server)
        self._is_ready = False
        self._hello = b""

    def advance(self) -> None:
        """Process what was received. Raises OSError when the server has closed the connection."""
        with suppress(BlockingIOError):
            data = self.raw.recv(65536)
            if not data:
                raise ConnectionResetError
            self._to_client.write(data)
        if self.kind in {"idle", "handshake"} or self._is_ready:
            return
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self._is_ready = True
            if self.kind == "headers":
                self._tls.write(_HEAD)
            elif self.kind == "body":
                self._tls.write(_HEAD + b"Content-Length: 100000\r\n\r\n")
            else:
                self._tls.write(_GET)
        self._send(self._to_server.read())

    def send_byte(self) -> None:
        """Send one more byte, for the kinds that send any. Raises OSError."""
        if self.kind == "handshake":
            if not self._hello:
                with suppress(ssl.SSLWantReadError):
                    self._tls.do_handshake()
                self._hello = self._to_server.read()
            self._send(self._hello[:1])
            self._hello = self._hello[1:] or b"\0"
        elif self._is_ready and self.kind in {"headers", "body"}:
            self._tls.write(b"x")
            self._send(self._to_server.read())

    def _send(self, data: bytes) -> None:
        if data:
            with suppress(BlockingIOError):
                self.raw.send(data)


class SlowClients:
    """Slow clients of these kinds, from these addresses in turn. With ``is_full`` all are connected when the body
    begins; without it there are more than the server accepts."""

    def __init__(
        self,
        port: int,
        number: int,
        *,
        sources: Sequence[str],
        kinds: Sequence[str] = KINDS,
        is_full: bool = True,
    ) -> None:
        self._port, self._number = port, number
        self._kinds, self._sources = cycle(kinds), cycle(sources)
        self._poller = selectors.DefaultSelector()
        self._open: set[_Slow] = set()
        self._stop = threading.Event()
        self._full = threading.Event()
        self._is_held = is_full
        self.drops = 0
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._full.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for slow in self._open:
            slow.raw.close()

    @property
    def number_open(self) -> int:
        return len(self._open)

    def _work(self) -> None:
        send_byte_at = time.monotonic()
        while not self._stop.is_set():
            for _ in range(min(CONNECTS_PER_TURN, self._number - len(self._open))):
                self._connect()
            for key, _ in self._poller.select(0.05):
                self._call(key.data, key.data.advance)
            if time.monotonic() >= send_byte_at:
                send_byte_at = time.monotonic() + BYTE_INTERVAL_SECONDS
                for slow in list(self._open):
                    self._call(slow, slow.send_byte)
            if len(self._open) == self._number or (self.drops and not self._is_held):
                self._full.set()

    def _connect(self) -> None:
        slow = _Slow(self._port, next(self._kinds), next(self._sources))
        self._open.add(slow)
        self._poller.register(slow.raw, selectors.EVENT_READ, slow)
        if slow.kind not in {"idle", "handshake"}:
            self._call(slow, slow.advance)

    def _call(self, slow: _Slow, action: Callable[[], None]) -> None:
        try:
            action()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _NOT_CONNECTED:
                return
            self.drops += 1
            self._poller.unregister(slow.raw)
            slow.raw.close()
            self._open.discard(slow)
