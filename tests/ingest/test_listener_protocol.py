"""The listener at its port, byte by byte: what it refuses itself, and what it hands over whole."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse

import pytest

from agent.transport.tls import unverified_context
from apps.agents.services import ensure_authority
from apps.core import clock
from ispvm.supervisor.ports import free_port
from tests.ingest.listener import listening, write_files
from tests.ingest.test_slow_clients import beat

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]
GET = b"GET /ingest/v1/ca HTTP/1.1\r\nHost: a\r\n\r\n"
ENROLL = b"POST /ingest/v1/enroll HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
TOKEN = json.dumps({"token": "x", "csr_pem": "y"}).encode()


@pytest.fixture
def port(tmp_path) -> Iterator[int]:
    ensure_authority(at=clock.now())
    port = free_port()
    with listening(write_files(tmp_path / "tls"), port, workers=2):
        yield port


@contextmanager
def connected(port: int) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=300) as raw,
        unverified_context().wrap_socket(raw) as connection,
    ):
        yield connection


def answers(port: int, *sent: bytes, number: int = 1) -> list[tuple[int, str]]:
    """Status and code of so many responses over one connection."""
    result = []
    with connected(port) as connection:
        for part in sent:
            connection.sendall(part)
        stream = connection.makefile("rb")
        for _ in range(number):
            response = HTTPResponse(_Source(stream))
            response.begin()
            body = response.read()
            is_json = response.headers.get("Content-Type") == "application/json"
            result.append((response.status, json.loads(body).get("code", "") if is_json else ""))
    return result


class _Source:
    """Lets several responses be read from one stream."""

    def __init__(self, stream) -> None:
        self._stream = stream

    def makefile(self, _mode):
        return _Open(self._stream)


class _Open:
    def __init__(self, stream) -> None:
        self.readline, self.read, self.readinto = stream.readline, stream.read, stream.readinto
        self.flush = self.close = lambda: None


def test_each_request_gets_its_response(port, acme, tmp_path):
    length = b"Content-Length: %d\r\n\r\n" % len(TOKEN)
    chunked = ENROLL + b"Transfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(TOKEN), TOKEN)

    assert answers(port, GET + GET, GET, number=3) == [(200, "")] * 3
    (refused,) = answers(port, ENROLL + length + TOKEN)
    assert refused[0] in {400, 401, 403}
    assert refused[1] not in {"", "invalid_body"}
    assert answers(port, chunked, body) == [refused], "the same request in chunks"
    assert answers(port, chunked + body + GET, number=2) == [refused, (200, "")]
    assert answers(port, chunked + b"zz\r\n")[0][0] == 400
    assert answers(port, ENROLL + b"Content-Length: 300000\r\n\r\n") == [(413, "too_large")]
    assert answers(port, ENROLL + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000) == [
        (413, "too_large")
    ]
    assert answers(port, b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000) == [(431, "headers_too_large")]
    assert answers(port, b"nonsense\r\n\r\n")[0][0] == 400
    assert answers(port, ENROLL + b"Expect: 100-continue\r\n" + length, TOKEN) == [refused]
    unread(port, acme, tmp_path)


def unread(port: int, tenant, folder) -> None:
    """Clients that send request upon request and read no response hold no thread."""
    with ExitStack() as stack:
        for _ in range(12):
            connection = stack.enter_context(connected(port))
            connection.setblocking(False)
            with suppress(ssl.SSLWantWriteError):
                for _ in range(20_000):
                    connection.send(GET * 20)
        beat(port, tenant, folder / "unread")
