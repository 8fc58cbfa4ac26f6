"""Ingest in its own gunicorn processes, on a port with TLS or on a unix socket behind a real nginx."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.db import connection

from agent.errors import AgentError
from agent.transport.http import Client
from agent.transport.tls import unverified_context
from apps.agents import services as agents
from apps.authorization.actors import Actor
from apps.core import clock
from ispvm.supervisor.paths import PROJECT
from tests.database import url_of_this_test
from tests.slots import free_port
from tests.supervisor.waiting import eventually

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NOT_FOR_INGEST = {"DJANGO_SETTINGS_MODULE", "ISPVM_CA_KEY_FILE", "DATABASE_OWNER_URL"}
NGINX_CONF = PROJECT / "ispvm/deploy/nginx.conf"


ACTOR = Actor.system("test")


def write_files(folder: Path) -> agents.ListenerFiles:
    return agents.write_listener_certificate(
        folder=folder, hosts=["127.0.0.1"], actor=ACTOR, at=clock.now()
    )


@contextmanager
def gunicorn(
    config: str, *options: str, database_port: int | None = None, tls_folder: str = ""
) -> Iterator[subprocess.Popen]:
    """A group of ingest processes on the test's database."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in NOT_FOR_INGEST},
        "DATABASE_URL": url_of_this_test(database_port),
        "ISPVM_INGEST_TLS_FOLDER": tls_folder,
        "ISPVM_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", f"python:ispvm.deploy.{config}", *options]
    process = subprocess.Popen(
        [*command, "ispvm.ingest_wsgi:application"],
        cwd=PROJECT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def listening(
    files: agents.ListenerFiles,
    port: int,
    *,
    workers: int = 1,
    database_port: int | None = None,
    renews_certificate: bool = False,
) -> Iterator[None]:
    """Ingest on a port with TLS, as `run.py demo` runs it. ``renews_certificate``: it renews its own certificate."""
    folder = str(files.certificate.parent) if renews_certificate else ""
    options = (
        *("--certfile", str(files.certificate), "--keyfile", str(files.key)),
        *("--ca-certs", str(files.ca), "--workers", str(workers)),
        *("--bind", f"127.0.0.1:{port}"),
    )
    with gunicorn("gunicorn_ingest", *options, database_port=database_port, tls_folder=folder):
        eventually(lambda: answers(port))
        yield


@contextmanager
def behind_nginx(folder: Path) -> Iterator[int]:
    """Ingest on a unix socket with the shipped nginx configuration in front; yields nginx's port for agents."""
    write_files(folder / "tls")
    path = folder / "ingest.sock"
    with gunicorn("gunicorn_ingest_proxied", "--workers", "1", "--bind", f"unix:{path}"):
        eventually(path.exists)
        with nginx(folder) as port:
            eventually(lambda: answers(port))
            yield port


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """The shipped configuration in front of ingest alone; yields its port for agents."""
    with nginx_with_ports(folder, web="127.0.0.1:9") as ports:
        yield ports.agents


@dataclass(frozen=True)
class NginxPorts:
    http: int
    https: int
    agents: int


HOST = "noc.example"


@contextmanager
def nginx_with_ports(
    folder: Path, *, web: str, temporary: Path | None = None
) -> Iterator[NginxPorts]:
    """The shipped configuration with this test's folders, names and ports; nothing else in it is changed.

    ``temporary`` replaces its /tmp.
    """
    ports = NginxPorts(free_port(), free_port(), free_port())
    text = NGINX_CONF.read_text(encoding="utf-8")
    for shipped, replacement in {
        "/tmp/": f"{temporary or folder}/",
        "/run/ispvm-ingest": str(folder),
        "/run/secrets/web_certificate_key": str(folder / "tls/server-key.pem"),
        "/run/secrets/web_certificate;": f"{folder}/tls/server.pem;",
        "server_name ISPVM_HOST;": f"server_name {HOST};",
        "set $web web:8000;": f"set $web {web};",
        "listen 8444 ": f"listen 127.0.0.1:{ports.agents} ",
        "listen 8443 ": f"listen 127.0.0.1:{ports.https} ",
        "listen 8080": f"listen 127.0.0.1:{ports.http}",
    }.items():
        assert shipped in text, shipped
        text = text.replace(shipped, replacement)
    user = "user root;\n" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(f"{user}daemon off;\n{text}", encoding="utf-8")
    process = subprocess.Popen([str(NGINX), "-p", str(folder), "-c", str(conf)])
    try:
        yield ports
    finally:
        process.terminate()
        process.wait(timeout=300)


@contextmanager
def signer_thread() -> Iterator[None]:
    """The signer in a thread of this process, which has the CA key; the ingest processes have none."""
    stop = threading.Event()

    def sign() -> None:
        agents.run_signer(stop, every_seconds=0.05)
        connection.close()

    thread = threading.Thread(target=sign)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=300)


def answers(port: int) -> bool:
    """Whether ingest responds: the port is open before its workers are ready."""
    try:
        with Client(f"https://127.0.0.1:{port}", unverified_context()) as client:
            return client.get("ca").status == HTTPStatus.OK
    except AgentError:
        return False


class DatabaseProxy:
    """A TCP proxy to PostgreSQL whose connections can be cut."""

    def __init__(self) -> None:
        row = settings.DATABASES["default"]
        self._target = (str(row["HOST"]), int(str(row["PORT"])))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.is_cut = True
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_cut:
                    near.close()
                    continue
                self._open.append(near)
                far = socket.create_connection(self._target)
                self._open.append(far)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
