"""The metrics listener of processes without a web server: ingest's master, workers, beat, keeper."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from apps.core import liveness
from apps.core.metrics.access import Network, is_allowed
from apps.core.metrics.exposition import CONTENT_TYPE, exposition

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
IDLE_SECONDS = 10.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 8

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


class Listener(threading.Thread):
    """Serves ``GET /metrics``; retries while its port is still in use by a process that is ending."""

    def __init__(
        self, address: tuple[str, int], allowed: Sequence[Network], text: Callable[[], bytes]
    ) -> None:
        super().__init__(name="metrics", daemon=True)
        self.address = address
        self._handler = _handler(tuple(allowed), text)
        self._server: _Server | None = None
        self._stopped = threading.Event()
        self.listening = threading.Event()
        # Forked workers must not keep the port open after the master has died.
        os.register_at_fork(after_in_child=self._close_socket)

    def run(self) -> None:
        is_logged = False
        while not self._stopped.is_set():
            try:
                self._server = _Server(self.address, self._handler)
            except OSError as error:
                if not is_logged:
                    log.warning("metrics_port_unavailable", error=error.strerror)
                    is_logged = True
                time.sleep(RETRY_SECONDS)
                continue
            self.address = (self.address[0], self._server.server_address[1])
            self.listening.set()
            self._server.serve_forever(poll_interval=0.5)

    def stop(self) -> None:
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _close_socket(self) -> None:
        if self._server is not None:
            self._server.socket.close()


def serve_metrics(
    listen: tuple[str, int] | None,
    allowed: Sequence[Network],
    text: Callable[[], bytes] = exposition,
) -> Listener | None:
    """Start a listener; None when no address is configured."""
    if listen is None:
        return None
    listener = Listener(listen, allowed, text)
    listener.start()
    return listener


def _handler(
    allowed: tuple[Network, ...], text: Callable[[], bytes]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS
        server_version = "ispvm"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path not in {"/metrics", "/livez"} or not is_allowed(
                str(self.client_address[0]), allowed
            ):
                self._respond(404, "text/plain", b"Not found.\n")
                return
            if path == "/livez":
                hung = len(liveness.process.hung())
                status = 503 if hung else 200
                self._respond(status, "text/plain", f"{hung} threads hang\n".encode())
                return
            try:
                body = text()
            except Exception:  # a scrape must not end the listener
                log.exception("metrics_unreadable")
                self._respond(500, "text/plain", b"Error; see the log.\n")
                return
            self._respond(200, CONTENT_TYPE, body)

        def _respond(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base's name)
            """Scrapes are not logged."""

    return Handler
