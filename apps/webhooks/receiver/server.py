"""The HTTP server of the receiver, with simulated failures."""

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from apps.webhooks.receiver.journal import Journal
from apps.webhooks.receiver.verifier import verify

MAX_BODY = 1024 * 1024
HANG_SECONDS = 60.0


class Receiver(ThreadingHTTPServer):
    """Responds 204 to verified requests and 401 to others.

    ``mode`` (or the first word of the control file, read for each request) simulates failures:
    ``up``, ``down`` (resets connections), ``hang``, or a status such as ``503``.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        *,
        secret_file: Path,
        journal: Journal,
        control_file: Path | None = None,
        mode: str = "up",
        tolerance: float = 300.0,
    ) -> None:
        self.secret_file = secret_file
        self.journal = journal
        self.control_file = control_file
        self.mode = mode
        self.tolerance = tolerance
        self.closing = threading.Event()
        super().__init__(address, _Handler)

    def secrets(self) -> list[str]:
        """The secrets in the file now, one a line: rotation needs no restart."""
        try:
            text = self.secret_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines() if line.strip()]

    def current_mode(self) -> str:
        if self.control_file is not None:
            try:
                words = self.control_file.read_text(encoding="utf-8").split()
            except FileNotFoundError:
                words = []
            if words:
                return words[0].lower()
        return self.mode

    def server_close(self) -> None:
        self.closing.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections closed by the sender are not logged."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"
    server_version = "ispvm-receiver"
    sys_version = ""
    timeout = 30

    def do_POST(self) -> None:
        mode = self.server.current_mode()
        if mode == "down":
            self._reset()
            return
        body = self._body()
        if body is None:
            return
        if mode == "hang":
            self.server.closing.wait(HANG_SECONDS)
            self._reset()
            return
        if mode.isdigit():
            self._respond(int(mode))
            return
        at = time.time()
        headers = {name.lower(): value for name, value in self.headers.items()}
        verification = verify(
            headers, body, self.server.secrets(), now=at, tolerance=self.server.tolerance
        )
        status = 204 if verification.verified else 401
        self.server.journal.write(
            at=at, headers=headers, body=body, verification=verification, status=status
        )
        self._respond(status)

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self._respond(413 if length.isdigit() else 411)
            return None
        return self.rfile.read(int(length))

    def _respond(self, status: int) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _reset(self) -> None:
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base's name)
        """The journal logs requests."""
