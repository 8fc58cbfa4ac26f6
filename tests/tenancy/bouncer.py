"""The real pgbouncer in transaction mode before the tests' database, where Debian's package is installed."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.db import connections

from tests.slots import free_port
from tests.supervisor.waiting import HANG_SECONDS, attempts

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CLIENTS, SERVERS = 20, 2
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="needs pgbouncer on this machine")

CONFIGURATION = """
[databases]
* = host={HOST} port={PORT} user={USER} password={PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 200
query_wait_timeout = 0
"""


@contextmanager
def pgbouncer(folder: Path) -> Iterator[int]:
    """Its port, while it runs."""
    port = free_port()
    before = connections["default"].settings_dict
    text = CONFIGURATION.format(**before, port=port, servers=SERVERS)
    path = folder / "pgbouncer.ini"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    assert PROGRAM is not None
    # It refuses to be root.
    as_who = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen(
        [PROGRAM, "-q", *as_who, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in attempts("pgbouncer listening"):
        assert process.poll() is None, "pgbouncer ended"
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS).close()
            return
