"""Embedded Valkey (or the system's Redis): bell and cache of the platform, never the truth."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from ispvm.supervisor.account import Account
from ispvm.supervisor.places import Home
from ispvm.supervisor.ports import LOOPBACK, keep_port
from ispvm.supervisor.processes import ProcessSpec
from ispvm.supervisor.programs import find_valkey, reachable_valkey
from ispvm.supervisor.secrets import keep_secret, write_private

# noeviction: a queue that silently loses its oldest entries is worse than one that refuses new ones.
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

    def answers(self) -> bool:
        """Whether it answers PING after signing in, that is, has loaded its data."""
        request = f"AUTH {self.password}\r\nPING\r\n".encode("ascii")
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as line:
                line.sendall(request)
                answer = b""
                while answer.count(b"\r\n") < 2:  # noqa: PLR2004  # one per request
                    part = line.recv(256)
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
            ready=self.answers,
            account=self.account,
        )


def quoted(path: Path) -> str:
    """A path between double quotes of Valkey's settings: they know spaces, and escapes by a backslash."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def redis_url(home: Home, port: int) -> str:
    return f"redis://:{valkey_password(home)}@{LOOPBACK}:{port}/0"


def valkey_password(home: Home) -> str:
    return keep_secret(home.secrets / "valkey")


def prepare_valkey(home: Home) -> ValkeyServer:
    """Find the program, make the data folder, write the settings. Idempotent. Raises LaunchError."""
    data, account = home.server_folder("valkey")
    program = reachable_valkey(find_valkey(), account, home.server_data / "programs")
    server = ValkeyServer(program, data, keep_port(data / "port"), valkey_password(home), account)
    text = SETTINGS.format(
        host=LOOPBACK, port=server.port, password=server.password, data=quoted(data)
    )
    write_private(data / "valkey.conf", text, account=account)
    return server
