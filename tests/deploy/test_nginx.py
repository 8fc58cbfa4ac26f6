"""The nginx that we ship, run as shipped: names, addresses, uploads, and what one address can have in /tmp."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.transport.tls import unverified_context
from apps.accounts.models import User
from apps.audit.models import PlatformRecord
from apps.tenancy.models import Tenant
from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.ports import free_port
from tests.database import url_of_this_test
from tests.ingest.listener import (
    HOST,
    NGINX,
    NginxPorts,
    answers,
    gunicorn,
    nginx_with_ports,
    signer_thread,
    write_files,
)
from tests.ingest.test_behind_nginx import enroll_member
from tests.supervisor.waiting import eventually

pytestmark = [
    pytest.mark.real,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(NGINX is None, reason="needs an nginx on this machine"),
]
MIB = 2**20
CLIENT, OTHER = "127.0.0.5", "127.0.0.6"


@dataclass(frozen=True)
class Proxy:
    ports: NginxPorts
    folder: Path
    temporary: Path

    def bytes_in_tmp(self) -> int:
        return sum(path.stat().st_size for path in self.temporary.rglob("*") if path.is_file())


@contextmanager
def web(folder: Path) -> Iterator[int]:
    """The web process as compose.yaml starts it, on the test's database, behind a proxy that it trusts."""
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "ispvm.settings.server",
        "DATABASE_URL": url_of_this_test(),
        "ISPVM_HOME": str(folder / "home"),
        "ISPVM_PUBLIC_URL": f"https://{HOST}",
        "ISPVM_ALLOWED_HOSTS": f"{HOST},127.0.0.1,web",
        "ISPVM_TRUSTED_PROXIES": "127.0.0.1/32",
        "ISPVM_LOG_LEVEL": "ERROR",
    }
    environment.pop("ISPVM_CA_KEY_FILE", None)
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=PROJECT,
        env=environment,
        check=True,
    )
    command = ["-m", "gunicorn", "-c", "python:ispvm.deploy.gunicorn_web"]
    bind = ["--workers", "1", "--bind", f"127.0.0.1:{port}", "ispvm.wsgi:application"]
    process = subprocess.Popen(
        [sys.executable, *command, *bind], cwd=PROJECT, env=environment, start_new_session=True
    )
    try:
        eventually(lambda: listens(port))
        yield port
    finally:
        process.terminate()
        process.wait(timeout=300)


def listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=300).close()
        return True
    return False


@pytest.fixture
def pages(tmp_path) -> Iterator[Proxy]:
    """nginx before web; /tmp is a folder of its own."""
    with ExitStack() as stack:
        yield stack.enter_context(
            proxied(tmp_path, web=f"127.0.0.1:{stack.enter_context(web(tmp_path))}")
        )


@pytest.fixture
def agents(tmp_path) -> Iterator[Proxy]:
    """nginx before ingest; /tmp is a folder of its own."""
    tls_socket = tmp_path / "run/ingest.sock"
    tls_socket.parent.mkdir()
    with ExitStack() as stack:
        stack.enter_context(signer_thread())
        stack.enter_context(
            gunicorn("gunicorn_ingest_proxied", "--workers", "1", "--bind", f"unix:{tls_socket}")
        )
        eventually(tls_socket.exists)
        proxy = stack.enter_context(proxied(tmp_path, web="127.0.0.1:9"))
        eventually(lambda: answers(proxy.ports.agents))
        yield proxy


@contextmanager
def proxied(folder: Path, *, web: str) -> Iterator[Proxy]:
    run, temporary = folder / "run", folder / "temporary"
    run.mkdir(exist_ok=True)
    temporary.mkdir()
    write_files(run / "tls")
    with nginx_with_ports(run, web=web, temporary=temporary) as ports:
        eventually(lambda: listens(ports.https))
        yield Proxy(ports, run, temporary)


@dataclass(frozen=True)
class Answer:
    status: int
    head: str
    body: bytes

    def header(self, name: str) -> str:
        lines = dict(line.split(": ", 1) for line in self.head.split("\r\n")[1:] if ": " in line)
        return {key.lower(): value for key, value in lines.items()}.get(name, "")


def connect(
    port: int, context: ssl.SSLContext | None, *, source: str = CLIENT, name: str | None = None
) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=300, source_address=(source, 0))
    try:
        return context.wrap_socket(raw, server_hostname=name) if context else raw
    except OSError:
        raw.close()
        raise


def ask(
    port: int,
    head: str,
    *,
    context: ssl.SSLContext | None = None,
    body: bytes = b"",
    source: str = CLIENT,
    name: str | None = None,
) -> Answer:
    """The answer to this request, which closes its connection; the body is sent as far as anybody reads it."""
    with connect(port, context, source=source, name=name) as tls_socket:
        lines = head.replace("\n", "\r\n")
        length = f"\r\nContent-Length: {len(body)}" if body else ""
        tls_socket.sendall(f"{lines}{length}\r\nConnection: close\r\n\r\n".encode())
        with suppress(OSError):
            tls_socket.sendall(body)
        return read_answer(tls_socket)


def read_answer(tls_socket: socket.socket) -> Answer:
    received = b""
    with suppress(ConnectionError, ssl.SSLError):
        while piece := tls_socket.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), head.decode("latin-1"), body)


def tls() -> ssl.SSLContext:
    return unverified_context()


def shows(identity: Path) -> ssl.SSLContext:
    context = unverified_context()
    context.load_cert_chain(identity)
    return context


class Upload:
    """A request that announces a body and sends only its first part."""

    def __init__(
        self,
        port: int,
        head: str,
        *,
        context: ssl.SSLContext,
        announced: int,
        sent: int,
        **location,
    ) -> None:
        self.tls_socket = connect(port, context, **location)
        lines = head.replace("\n", "\r\n")
        self.tls_socket.sendall(f"{lines}\r\nContent-Length: {announced}\r\n\r\n".encode())
        with suppress(OSError):
            self.tls_socket.sendall(b"x" * sent)

    def is_refused(self) -> bool:
        """Whether an answer came before the body was complete."""
        self.tls_socket.setblocking(False)
        try:
            return bool(self.tls_socket.recv(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def close(self) -> None:
        self.tls_socket.close()


POST_BATCH = f"POST /ingest/v1/batch HTTP/1.1\nHost: {HOST}\nContent-Type: application/json"
POST_PAGE = f"POST /sign-in/ HTTP/1.1\nHost: {HOST}\nContent-Type: application/json"


def test_names_and_addresses(pages, acme_admin):
    """One start of the processes for all of it: they take longer than the questions."""
    redirects_only_our_name(pages)
    only_our_name_reaches_the_pages(pages)
    operators_pages_stay_inside(pages)
    web_sees_the_address_that_connects(pages, acme_admin)
    one_address_cannot_fill_tmp(pages)
    web_takes_no_more_than_it_can_use(pages)


def test_uploads_of_agents_and_strangers(agents, acme, tmp_path):
    for path in ("batch", "heartbeat", "config", "diagnostics/next"):
        without_a_certificate_nothing_is_read(agents, path)
    bodies_with_a_token_are_small(agents)
    strangers_cannot_fill_tmp(agents, tmp_path)
    first, second = (
        enroll_member(acme, name).write(agents.folder / name, "https://x").identity
        for name in ("pop-1", "pop-2")
    )
    an_agent_cannot_fill_tmp_and_leaves_room_for_others(agents, first, second)
    an_agents_batch_may_be_large(agents, first)
    an_expired_certificate_may_renew_and_nothing_else(agents, acme)


def redirects_only_our_name(proxy: Proxy) -> None:
    ports = proxy.ports

    ours = ask(ports.http, f"GET /devices/?a=1 HTTP/1.1\nHost: {HOST}")
    assert (ours.status, ours.header("location")) == (308, f"https://{HOST}/devices/?a=1")
    for other in (
        "evil.example",
        "127.0.0.1",
        f"{HOST}.evil.example",
        f"evil.example:80@{HOST}",
    ):
        answer = ask(ports.http, f"GET / HTTP/1.1\nHost: {other}")
        assert answer.status in {400, 421}, other
        assert answer.header("location") == "", other
    assert ask(ports.http, "GET / HTTP/1.0").status == 421


def only_our_name_reaches_the_pages(proxy: Proxy) -> None:
    ports = proxy.ports

    assert ask(ports.https, f"GET /sign-in/ HTTP/1.1\nHost: {HOST}", context=tls()).status == 200
    for name in (None, HOST, "evil.example"):
        answer = ask(
            ports.https, "GET /sign-in/ HTTP/1.1\nHost: evil.example", context=tls(), name=name
        )
        assert answer.status == 421, name


def operators_pages_stay_inside(proxy: Proxy) -> None:
    for path in ("/metrics", "/livez", "/readyz"):
        head = f"GET {path} HTTP/1.1\nHost: {HOST}"
        assert ask(proxy.ports.https, head, context=tls()).status == 404


def web_sees_the_address_that_connects(proxy: Proxy, acme_admin: User) -> None:
    page = ask(proxy.ports.https, f"GET /sign-in/ HTTP/1.1\nHost: {HOST}", context=tls())
    cookie = next(
        line.split(": ")[1].split(";")[0]
        for line in page.head.split("\r\n")
        if line.lower().startswith("set-cookie: csrftoken")
    )
    token = page.body.split(b'csrfmiddlewaretoken" value="')[1].split(b'"')[0].decode()
    form = f"csrfmiddlewaretoken={token}&email={acme_admin.email}&password=wrong"
    head = (
        f"POST /sign-in/ HTTP/1.1\nHost: {HOST}\nContent-Type: application/x-www-form-urlencoded\n"
        f"Cookie: {cookie}\nOrigin: https://{HOST}\nX-Forwarded-For: 192.0.2.66\n"
        "Forwarded: for=192.0.2.66\nX-Real-IP: 192.0.2.66"
    )

    answer = ask(proxy.ports.https, head, context=tls(), body=form.encode())

    assert answer.status == 401
    failed = PlatformRecord.objects.get(action="sign_in.failed")
    assert failed.detail["address"] == CLIENT


def without_a_certificate_nothing_is_read(proxy: Proxy, path: str) -> None:
    head = POST_BATCH.replace("batch", path)

    upload = Upload(proxy.ports.agents, head, context=tls(), announced=200_000, sent=0)
    eventually(upload.is_refused)
    upload.close()

    response = ask(proxy.ports.agents, head.replace("POST", "GET"), context=tls())
    assert (response.status, json.loads(response.body)["code"]) == (401, "certificate_missing")


def bodies_with_a_token_are_small(proxy: Proxy) -> None:
    head = POST_BATCH.replace("batch", "enroll")

    response = ask(proxy.ports.agents, head, context=tls(), body=b"x" * 40_000)

    assert (response.status, json.loads(response.body)["code"]) == (413, "too_large")


def an_agents_batch_may_be_large(proxy: Proxy, identity: Path) -> None:
    context = shows(identity)

    response = ask(proxy.ports.agents, POST_BATCH, context=context, body=b" " * (9 * MIB))

    assert json.loads(response.body)["code"] not in {"certificate_missing", "rate_exceeded"}
    assert (
        ask(proxy.ports.agents, POST_BATCH, context=context, body=b" " * (12 * MIB)).status == 413
    )


def strangers_cannot_fill_tmp(proxy: Proxy, folder: Path) -> None:
    invented = self_signed(folder)
    held = [half_a_batch(proxy, shows(invented)) for _ in range(12)]

    settled(proxy, held, allowed=2)
    others = [half_a_batch(proxy, shows(invented), OTHER) for _ in range(12)]
    settled(proxy, others, allowed=2)

    assert proxy.bytes_in_tmp() <= 4 * 11 * MIB
    for upload in held + others:
        upload.close()


def an_agent_cannot_fill_tmp_and_leaves_room_for_others(proxy: Proxy, one: Path, two: Path) -> None:
    held = [half_a_batch(proxy, shows(one)) for _ in range(12)]
    settled(proxy, held, allowed=4)

    assert proxy.bytes_in_tmp() <= 4 * 11 * MIB
    response = ask(proxy.ports.agents, POST_BATCH, context=shows(two), body=b"{}")
    assert response.status not in {429, 503}
    for upload in held:
        upload.close()


def one_address_cannot_fill_tmp(proxy: Proxy) -> None:
    held = [
        Upload(proxy.ports.https, POST_PAGE, context=tls(), announced=5 * MIB // 2, sent=2 * MIB)
        for _ in range(40)
    ]
    settled(proxy, held, allowed=20)

    assert proxy.bytes_in_tmp() <= 20 * 5 * MIB // 2
    head = f"GET /static/none HTTP/1.1\nHost: {HOST}"
    assert ask(proxy.ports.https, head, context=tls()).status == 404
    for upload in held:
        upload.close()


def web_takes_no_more_than_it_can_use(proxy: Proxy) -> None:
    upload = Upload(proxy.ports.https, POST_PAGE, context=tls(), announced=3 * MIB, sent=0)

    eventually(upload.is_refused)
    upload.close()


def half_a_batch(proxy: Proxy, context: ssl.SSLContext, source: str = CLIENT) -> Upload:
    return Upload(
        proxy.ports.agents,
        POST_BATCH,
        context=context,
        announced=10 * MIB,
        sent=5 * MIB,
        source=source,
    )


def settled(proxy: Proxy, held: list[Upload], *, allowed: int) -> None:
    """All but the allowed ones were refused, and those are still being read."""
    eventually(lambda: sum(not upload.is_refused() for upload in held) == allowed)
    assert proxy.bytes_in_tmp() > 0


def self_signed(folder: Path) -> Path:
    path = folder / "made-up.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=agent",
                "-keyout",
                str(path),
                "-out",
                f"{path}.crt",
            ),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def an_expired_certificate_may_renew_and_nothing_else(proxy: Proxy, acme: Tenant) -> None:
    late = (
        enroll_member(acme, "late", days_ago=40).write(proxy.folder / "late", "https://x").identity
    )
    answers_of = {}
    for path in ("heartbeat", "config", "batch", "diagnostics/next", "enroll", "certificate"):
        head = POST_BATCH.replace("batch", path)
        response = ask(proxy.ports.agents, head, context=shows(late), body=b"{}")
        answers_of[path] = (response.status, json.loads(response.body)["code"])

    # The renewal is refused for its body alone: ingest has read it.
    assert answers_of.pop("certificate") == (400, "invalid_body")
    assert set(answers_of.values()) == {(403, "certificate_expired")}


def test_tmp_of_the_container_is_large_enough():
    """What the limits allow to one address and one agent, against compose.yaml."""
    text = (PROJECT / "compose.yaml").read_text(encoding="utf-8")
    from_web, answers_of_web, strangers, agent = 20 * 2.5, 100 * 1, 8 * 11, 4 * 11
    size = int(text.split("/tmp:size=")[2].split("m,")[0])

    assert size >= from_web + answers_of_web
    assert size >= strangers + agent
