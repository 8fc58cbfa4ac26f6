"""Free and used loopback ports."""

import errno
import socket
import time
from pathlib import Path

from ispvm.supervisor.errors import LaunchError

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 5.0


def is_free(port: int, host: str = LOOPBACK) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run in TIME_WAIT do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port(host: str = LOOPBACK) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, *, purpose: str, remedy: str, host: str = LOOPBACK) -> None:
    """Raises LaunchError, naming the port, if something listens there."""
    if not is_free(port, host):
        raise LaunchError(f"Port {port} on {host} ({purpose}) is in use; {remedy}.")


def ensure_port(path: Path) -> int:
    """The port stored in the file if it is free; else a new one, which is stored.

    Waits a moment for a server that is still shutting down.
    """
    try:
        port = int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        port = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while port and not is_free(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not port or not is_free(port):
        port = free_port()
        path.write_text(f"{port}\n", encoding="ascii")
    return port
