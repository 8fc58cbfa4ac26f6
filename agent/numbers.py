"""Numbers for Prometheus, written by hand: the agent carries no library for a page of text."""

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
    "agent_buffer_depth": "Batches that the server does not have.",
    "agent_buffer_age_seconds": "Age of the oldest of them.",
    "agent_buffer_bytes": "Their bytes on disk.",
    "agent_buffer_max_bytes": "Bytes from which on the oldest are dropped.",
    "agent_jobs_running": "Polls under way.",
    "agent_poll_errors_total": "Polls that failed.",
    "agent_push_lag_seconds": "How far behind the last delivered batch was.",
    "agent_push_failing": "1 while the server takes nothing.",
    "agent_batches_pushed_total": "Batches that the server took.",
    "agent_clock_skew_seconds": "This clock minus the server's.",
    "agent_heartbeat_age_seconds": "Since the server last answered a heartbeat.",
    "agent_devices": "Routers by what their session does.",
}


def loopback_address(text: str) -> tuple[str, int]:
    """An address of this machine with a port, as an option's value."""
    host, _, port = text.rpartition(":")
    try:
        address, number = ip_address(host.strip("[]")), int(port)
    except ValueError as error:
        raise argparse.ArgumentTypeError("Say 127.0.0.1:PORT.") from error
    if not address.is_loopback or address.version != 4 or not 0 <= number < 2**16:  # noqa: PLR2004
        raise argparse.ArgumentTypeError("Only 127.x.x.x:PORT: others have no business here.")
    return str(address), number


def exposition(numbers: Mapping[str, float]) -> str:
    """Prometheus' text format. A name may carry its labels: ``agent_devices{state="up"}``."""
    lines, told = [], set()
    for key, value in numbers.items():
        name = key.partition("{")[0]
        if name not in told:
            told.add(name)
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {HELP.get(name, name)}", f"# TYPE {name} {kind}"]
        lines.append(f"{key} {'+Inf' if value == inf else value}")
    return "\n".join(lines) + "\n"


def tell_metrics(
    address: tuple[str, int], numbers: Callable[[], Mapping[str, float]]
) -> ThreadingHTTPServer:
    """Answer scrapes from a thread of its own. Raises AgentError when the port is taken."""
    try:
        server = ThreadingHTTPServer(address, _handler(numbers))
    except OSError as error:
        raise AgentError(
            f"Cannot listen on {address[0]}:{address[1]}: {error.strerror}."
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _handler(numbers: Callable[[], Mapping[str, float]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS
        server_version = "ispvm-agent"
        sys_version = ""

        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            body = exposition(numbers()).encode() if found else b"Not found.\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", CONTENT_TYPE if found else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base's name)
            """A scrape every few seconds is no news."""

    return Handler
