"""A real ingest listener: TLS, client certificates, the WSGI application, in this process."""

import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections

from apps.agents import services as agents
from apps.authorization.actors import Actor
from apps.core import clock
from apps.inventory.models import Device
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from ispvm.deploy.gunicorn_ingest import ssl_context
from tests.inventory.factories import make_device

ACTOR = Actor.system("test")


class _Bridge(BaseHTTPRequestHandler):
    """Calls the WSGI application as gunicorn does, with the TLS socket in the environment."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args) -> None:  # noqa: A002
        pass

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.requests.append((self.command, self.path, body))
        refusal = self.server.refuse(self.command, self.path)
        status, headers, content = refusal or self._call_application(body)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _call_application(self, body: bytes):
        response = {}

        def start_response(status, headers, exc_info=None):
            response.update(status=int(status.split()[0]), headers=headers)

        environ = {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": self.path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "0",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": self.headers.get("Content-Length", ""),
            "wsgi.input": BytesIO(body),
            "wsgi.errors": BytesIO(),
            "wsgi.url_scheme": "https",
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "gunicorn.socket": self.connection,
        }
        for name, value in self.headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        try:
            content = b"".join(self.server.application(environ, start_response))
        finally:
            connections.close_all()
        return response["status"], response["headers"], content


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Bridge)
        self.application = WSGIHandler()
        self.context = context
        self.requests: list[tuple[str, str, bytes]] = []
        self.refuse: Callable[[str, str], tuple | None] = lambda _method, _path: None

    def finish_request(self, request, client_address) -> None:
        request.settimeout(300)
        try:
            wrapped = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        with wrapped:
            _Bridge(wrapped, client_address, self)

    def handle_error(self, request, client_address) -> None:
        pass


@dataclass
class Ingest:
    """The listener, and a tenant's agents on it."""

    server: _Server
    url: str
    tenant: Tenant

    def token(self, name: str = "pop-1", **device) -> tuple[str, Device]:
        """An enrollment token of a new agent, and the device that it polls."""
        at = clock.now()
        with acting_in(self.tenant):
            device_row = make_device(f"cr-{name}", **device)
            agent = agents.create_agent(name=name, actor=ACTOR, at=at)
            agents.assign_agent(agent=agent, device_ids=[device_row.id], actor=ACTOR, at=at)
            token = agents.issue_enroll_token(agent=agent, actor=ACTOR, at=at)
        return token.text, device_row


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """The agent's commands replace the log handlers; restore them after the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def ingest(transactional_db, settings, tmp_path: Path) -> Iterator[Ingest]:
    settings.ROOT_URLCONF = "ispvm.ingest_urls"
    settings.MIDDLEWARE = []
    settings.ALLOWED_HOSTS = ["*"]
    tenant = Tenant.objects.create(slug="acme", name="Acme Net")
    files = agents.write_listener_certificate(
        folder=tmp_path / "tls", hosts=["127.0.0.1"], actor=ACTOR, at=clock.now()
    )

    def plain() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
        context.load_cert_chain(files.certificate, files.key)
        return context

    server = _Server(ssl_context(None, plain))
    url = f"https://127.0.0.1:{server.server_port}"
    settings.ISPVM_INGEST_URL = url
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Ingest(server, url, tenant)
    server.shutdown()
    server.server_close()
    thread.join()
    connections.close_all()
