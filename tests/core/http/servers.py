"""Servers on loopback that misbehave as scripted, and count connections."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Script = Callable[[socket.socket, bytes], None]


def read_request(conn: socket.socket) -> bytes:
    """One whole request: head and as much body as its Content-Length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = conn.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


class ScriptedServer:
    """Accepts until closed; every connection is handed to ``script`` with the request it sent."""

    def __init__(
        self,
        script: Script,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        reads: bool = True,
    ) -> None:
        self.tls = tls
        self.reads = reads
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(64)
        self.port: int = self.listener.getsockname()[1]
        self.host = host
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.released = threading.Event()
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=[conn], daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, conn: socket.socket) -> None:
        with conn, suppress(OSError):
            conn.settimeout(300)
            if self.tls is not None:
                self._answer(self.tls.wrap_socket(conn, server_side=True))
            else:
                self._answer(conn)

    def _answer(self, conn: socket.socket) -> None:
        with conn:
            request = read_request(conn) if self.reads else b""
            self.requests.append(request)
            self.script(conn, request)

    def close(self) -> None:
        self.released.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._acceptor.join(300)
        for thread in self._threads:
            thread.join(300)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answer(status: str, *headers: str, body: bytes = b"") -> Script:
    """A plain answer."""

    def script(conn: socket.socket, _: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        conn.sendall("\r\n".join(lines).encode() + body)

    return script


def raw(data: bytes) -> Script:
    """These bytes and the end."""
    return lambda conn, _: conn.sendall(data)


def reset(conn: socket.socket, _: bytes) -> None:
    """RST instead of an answer."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
