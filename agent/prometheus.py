"""Metrics for Prometheus, without a client library: the agent has as few dependencies as possible."""

import argparse
import logging
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from math import inf

from agent.errors import AgentError

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
IDLE_SECONDS = 10.0

HELP = {
    "agent_buffer_depth": "Batches in the buffer that the server has not acknowledged.",
    "agent_buffer_age_seconds": "Age of the oldest batch in the buffer.",
    "agent_buffer_bytes": "Size of the buffer on disk.",
    "agent_buffer_max_bytes": "Size of the buffer above which the oldest batches are dropped.",
    "agent_jobs_running": "Polls running now.",
    "agent_poll_errors_total": "Polls that failed.",
    "agent_push_lag_seconds": "Age of the last delivered batch at its delivery.",
    "agent_push_failing": "1 while pushes to the server fail.",
    "agent_batches_pushed_total": "Batches acknowledged by the server.",
    "agent_clock_skew_seconds": "Clock of this host minus clock of the server.",
    "agent_heartbeat_age_seconds": "Time since the last answered heartbeat.",
    "agent_devices": "Routers by polling state.",
}


def loopback_address(text: str) -> tuple[str, int]:
    """Parse the value of ``--metrics``: a loopback address with a port."""
    host, _, port = text.rpartition(":")
    try:
        address, number = ip_address(host.strip("[]")), int(port)
    except ValueError as error:
        raise argparse.ArgumentTypeError("Expected 127.0.0.1:PORT.") from error
    if not address.is_loopback or address.version != 4 or not 0 <= number < 2**16:  # noqa: PLR2004
        raise argparse.ArgumentTypeError("Only loopback addresses are allowed (127.x.x.x:PORT).")
    return str(address), number


def exposition(metrics: Mapping[str, float]) -> str:
    """Prometheus text format. A key may hold labels: ``agent_devices{state="up"}``."""
    lines, described = [], set()
    for key, value in metrics.items():
        name = key.partition("{")[0]
        if name not in described:
            described.add(name)
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {HELP.get(name, name)}", f"# TYPE {name} {kind}"]
        lines.append(f"{key} {'+Inf' if value == inf else value}")
    return "\n".join(lines) + "\n"


def serve_metrics(
    address: tuple[str, int], metrics: Callable[[], Mapping[str, float]]
) -> ThreadingHTTPServer:
    """Serve ``GET /metrics`` from a thread of its own. Raises AgentError when the port is in use."""
    try:
        server = ThreadingHTTPServer(address, _handler(metrics))
    except OSError as error:
        raise AgentError(
            f"Cannot listen on {address[0]}:{address[1]}: {error.strerror}."
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _handler(metrics: Callable[[], Mapping[str, float]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS
        server_version = "ispvm-agent"
        sys_version = ""

        def do_GET(self) -> None:
            is_found = self.path.partition("?")[0] == "/metrics"
            body = exposition(metrics()).encode() if is_found else b"Not found.\n"
            self.send_response(200 if is_found else 404)
            self.send_header("Content-Type", CONTENT_TYPE if is_found else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base's name)
            """Scrapes are not logged."""

    return Handler
