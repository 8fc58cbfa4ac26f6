"""What the containers' commands and health checks do, tried as processes: no container engine is needed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psycopg2
import pytest
import redis

from ispvm.supervisor.account import server_account
from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.ports import free_port
from ispvm.supervisor.programs import (
    find_postgres,
    find_valkey,
    reachable_postgres,
    reachable_valkey,
)
from tests.deploy.composed import Composed
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.real
PASSWORD = "0123456789abcdef" * 4
VARIABLES = {"ISPVM_HOST": "noc.example", "ISPVM_INGEST_HOST": "ingest.example"}


@pytest.fixture
def folder(public_folder) -> Path:
    return public_folder


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the services have accounts of their own")
def test_valkey_stops_by_sigterm_and_keeps_what_it_had(folder):
    secret, data, port = folder / "secrets", folder / "data", free_port()
    secret.mkdir()
    data.mkdir()
    (secret / "valkey_password").write_text(PASSWORD)
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    valkey = reachable_valkey(find_valkey(), server_account(), folder / "shelf")
    (bin_folder / "valkey-server").symlink_to(valkey)
    composed = Composed(
        VARIABLES,
        # The port is no part of the command: another one here, so that a Valkey of this machine is not in the way.
        {
            "/run/secrets": str(secret),
            "dir /data": f"dir {data}\nport {port}\nbind 127.0.0.1",
        },
        path=f"{bin_folder}:{os.defpath}",
    )
    os.chown(data, *composed.user("valkey"))
    os.chown(secret / "valkey_password", *composed.user("valkey"))
    process = composed.start("valkey", stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis.from_url(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
        eventually(lambda: answers(client))
        command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        client.set("kept", "1")

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=300) == 0
        # The first process was the server and no shell that knows nothing of signals.
        assert b"valkey-server" in command_line
        assert PASSWORD.encode() not in command_line
        assert b"kept" in b"".join(p.read_bytes() for p in data.rglob("*") if p.is_file())
    finally:
        process.kill()
        process.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return client.ping()
    except redis.RedisError:
        return False


class TestPostgres:
    """The check says yes to a server with our roles over TCP, and to no other."""

    @pytest.fixture
    def server(self, folder):
        account = server_account()
        programs = reachable_postgres(find_postgres(None, []), account, folder / "shelf")
        return Server(folder, programs.bin, account)

    def test_waits_until_the_database_is_really_there(self, server):
        with server.running(listen=""):
            server.make_roles()
            assert server.answers_on_its_socket()
            assert not server.is_healthy(), "the image's server during its set-up"
        with server.running(listen="127.0.0.1"):
            assert server.is_healthy()

    def test_is_not_content_with_a_server_without_our_roles(self, server):
        with server.running(listen="127.0.0.1"):
            assert not server.is_healthy()


class Server:
    """A PostgreSQL of the image's settings in a folder of its own."""

    def __init__(self, folder: Path, programs: Path, account) -> None:
        self.folder, self.programs, self.account = folder, programs, account
        self.port, self.data, self.sockets = free_port(), folder / "pg", folder / "s"
        self.secrets = folder / "secrets"
        for path in (self.data, self.sockets, self.secrets):
            path.mkdir()
            self._give(path)
        for role in ("ispvm_owner", "ispvm_app", "ispvm_backup", "ispvm_platform"):
            path = self.secrets / f"{role}_password"
            path.write_text(PASSWORD)
            self._give(path)
        self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--auth-local=trust",
            "--auth-host=scram-sha-256", "--no-sync",
        )  # fmt: skip
        self.composed = Composed(
            VARIABLES,
            {
                "/run/secrets": str(self.secrets),
                "--host=127.0.0.1": f"--host=127.0.0.1 --port={self.port}",
            },
            path=f"{programs}:{os.defpath}",
        )

    @contextmanager
    def running(self, *, listen: str):
        process = subprocess.Popen(
            [
                *(str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)),
                *(
                    "-c",
                    f"listen_addresses={listen}",
                    "-c",
                    f"unix_socket_directories={self.sockets}",
                ),
                *("-c", "fsync=off"),
            ],
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._identity(),
        )
        try:
            eventually(self.answers_on_its_socket)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=300)

    def make_roles(self) -> None:
        text = (PROJECT / "ispvm/deploy/postgres-roles.sh").read_text(encoding="utf-8")
        script = self.folder / "roles.sh"
        script.write_text(text.replace("/run/secrets", str(self.secrets)))
        subprocess.run(
            ["/bin/sh", str(script)],
            check=True,
            cwd="/",
            env={
                "PATH": f"{self.programs}:{os.defpath}",
                "PGHOST": str(self.sockets),
                "PGPORT": str(self.port),
            },
            **self._identity(),
        )

    def answers_on_its_socket(self) -> bool:
        try:
            psycopg2.connect(host=str(self.sockets), port=self.port, user="postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def is_healthy(self) -> bool:
        done = subprocess.run(
            self.composed.check("postgres"),
            check=False,
            capture_output=True,
            cwd="/",
            env={"PATH": self.composed.path},
            **self._identity(),
        )
        return done.returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            **self._identity(),
        )

    def _identity(self) -> dict:
        return self.account.identity() if self.account else {}

    def _give(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)


class TestHealthy:
    """healthy.py, over a port and over a unix socket."""

    def ask(self, address: object, *paths: str) -> int:
        script = PROJECT / "ispvm/deploy/healthy.py"
        command = [sys.executable, "-I", "-S", str(script), str(address), *(paths or ("/x",))]
        return subprocess.run(command, check=False).returncode

    def test_every_path_counts(self):
        with serving(200, hung="/livez") as server:
            port = server.server_address[1]
            assert self.ask(port, "/readyz") == 0
            assert self.ask(port, "/readyz", "/livez") == 1
            assert self.ask(port, "/livez", "/readyz") == 1

    @pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
    def test_goes_by_the_status(self, status, code, tmp_path):
        with serving(status) as server:
            assert self.ask(server.server_address[1]) == code
        with serving(status, tmp_path / "x.sock"):
            assert self.ask(tmp_path / "x.sock") == code

    def test_nobody_there_is_not_healthy(self, tmp_path):
        assert self.ask(free_port()) == 1
        assert self.ask(tmp_path / "none.sock") == 1

    def test_a_server_that_accepts_and_says_nothing_is_not_healthy(self, tmp_path):
        with socket.socket(socket.AF_UNIX) as unanswered:
            unanswered.bind(str(tmp_path / "hung.sock"))
            unanswered.listen()
            assert self.ask(tmp_path / "hung.sock") == 1


class _UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "unix", 0

    def get_request(self):
        request, _ = super().get_request()
        return request, ("", 0)


@contextmanager
def serving(status: int, path: Path | None = None, *, hung: str = ""):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path == hung else status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = _UnixServer(str(path), Handler) if path else HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="needs nginx")
def test_nginx_gets_the_name_of_the_pages(tmp_path):
    """The command of compose.yaml up to the start of nginx itself."""
    conf = PROJECT / "ispvm/deploy/nginx.conf"
    composed = Composed(
        VARIABLES,
        {"/etc/nginx/nginx.conf": str(conf), "/tmp/": f"{tmp_path}/", "exec nginx": ": nginx"},
    )

    subprocess.run(composed.argv("nginx"), check=True, env=composed.environment("nginx"))

    written = (tmp_path / "nginx.conf").read_text()
    assert written.count("server_name noc.example;") == 2
    assert "server_name ISPVM_HOST" not in written
