"""Embedded Valkey (or the system's Redis): broker and cache; no data is lost with it."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from ispvm.supervisor.account import Account
from ispvm.supervisor.paths import Home
from ispvm.supervisor.ports import LOOPBACK, ensure_port
from ispvm.supervisor.processes import ProcessSpec
from ispvm.supervisor.programs import find_valkey, reachable_valkey
from ispvm.supervisor.secrets import ensure_secret, write_private

# noeviction: refuse writes instead of silently deleting queued tasks.
SETTINGS = """\
bind {host}
port {port}
requirepass {password}
dir "{data}"
daemonize no
databases 64
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


@dataclass(frozen=True)
class ValkeyServer:
    """A prepared data folder and how to run it."""

    program: Path
    data: Path
    port: int
    password: str
    account: Account | None

    def responds(self) -> bool:
        """Whether it responds to PING after AUTH, i.e. has loaded its data."""
        request = f"AUTH {self.password}\r\nPING\r\n".encode("ascii")
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
                connection.sendall(request)
                answer = b""
                while answer.count(b"\r\n") < 2:  # noqa: PLR2004  # one per request
                    part = connection.recv(256)
                    if not part:
                        return False
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def process(self) -> ProcessSpec:
        return ProcessSpec(
            name="valkey",
            argv=(str(self.program), str(self.data / "valkey.conf")),
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd=self.data,
            ready=self.responds,
            account=self.account,
        )


def quoted(path: Path) -> str:
    """A path for a double-quoted setting of Valkey, with backslash escapes."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def redis_url(home: Home, port: int) -> str:
    return f"redis://:{valkey_password(home)}@{LOOPBACK}:{port}/0"


def valkey_password(home: Home) -> str:
    return ensure_secret(home.secrets / "valkey")


def prepare_valkey(home: Home) -> ValkeyServer:
    """Find the program, make the data folder, write the settings. Idempotent. Raises LaunchError."""
    data, account = home.server_folder("valkey")
    program = reachable_valkey(find_valkey(), account, home.server_data / "programs")
    server = ValkeyServer(program, data, ensure_port(data / "port"), valkey_password(home), account)
    text = SETTINGS.format(
        host=LOOPBACK, port=server.port, password=server.password, data=quoted(data)
    )
    write_private(data / "valkey.conf", text, account=account)
    return server
