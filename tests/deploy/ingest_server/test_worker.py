"""How the worker handles connections, without a gunicorn process."""

import json
import selectors
import socket
from collections.abc import Callable, Iterator

import pytest
from gunicorn.config import Config

from apps.ingest import metrics
from ispvm.deploy.ingest_server.connection import Connection, Refused, State
from ispvm.deploy.ingest_server.limits import Limits
from ispvm.deploy.ingest_server.memory import Buffered
from ispvm.deploy.ingest_server.table import ConnectionTable
from ispvm.deploy.ingest_server.worker import IngestWorker

POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
Connect = Callable[..., tuple[Connection, socket.socket]]


@pytest.fixture
def worker() -> Iterator[IngestWorker]:
    worker = IngestWorker.__new__(IngestWorker)  # without sockets, pool and master
    worker.alive = True
    worker.poller = selectors.DefaultSelector()
    worker._ready, worker._buffered, worker._metrics = set(), Buffered(), metrics
    worker._limits = Limits(buffered_bytes=5_000)
    worker._table = ConnectionTable(total=9, per_address=9, per_certificate=9)
    yield worker
    worker.poller.close()


@pytest.fixture
def connect(worker) -> Iterator[Connect]:
    clients = []

    def one(certificate: bytes = b"a", sent: bytes = b"") -> tuple[Connection, socket.socket]:
        client, ours = socket.socketpair()
        clients.append(client)
        client.settimeout(10)
        ours.setblocking(False)
        connection = Connection(
            config=Config(),
            sock=ours,
            client=("10.0.0.1", 5),
            server=("10.0.0.2", 443),
            limits=worker._limits,
            buffered=worker._buffered,
            now=0.0,
        )
        connection.is_local, connection.certificate = False, certificate
        worker._table.add(connection)
        worker._watch(connection)
        client.sendall(sent)
        if sent:
            connection.read(0.0)
        return connection, client

    yield one
    for client in clients:
        client.close()
    for connection in worker._table:
        connection.close()


@pytest.mark.parametrize(("alive", "state"), [(True, State.IDLE), (False, State.LINGER)])
def test_a_stopping_worker_closes_connections_after_their_response(worker, connect, alive, state):
    connection, client = connect(sent=POST % 0)
    connection.channel.sendall(b"bye")
    connection.respond(0.0)
    connection.keep_alive, worker.alive = True, alive
    worker._continue_sending(connection, 0.0)

    assert client.recv(10) == b"bye"
    assert connection.state is state


def test_complete_requests_evict_no_connection(worker, connect):
    complete, _ = connect(b"a", sent=POST % 20_000 + b"x" * 20_000)
    reading, _ = connect(b"b", sent=POST % 4_000 + b"x" * 1_000)
    worker._bound_buffers()

    assert [complete.state, reading.state] == [State.WORKING, State.BODY]


def test_incomplete_requests_are_limited(worker, connect):
    large, _ = connect(b"a", sent=POST % 20_000 + b"x" * 4_500)
    small, _ = connect(b"b", sent=POST % 4_000 + b"x" * 1_000)
    worker._bound_buffers()

    assert [large.state, small.state] == [State.CLOSED, State.BODY]


def test_a_refusal_has_retry_after(worker, connect):
    connection, client = connect(sent=POST % 100)
    refused = Refused("503 Service Unavailable", "sender_memory", "Too much.", retry_after=5)
    worker._refuse(connection, refused, 0.0)
    head, body = client.recv(1000).split(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 503 ")
    assert {b"Retry-After: 5", b"Connection: close"} <= set(head.split(b"\r\n"))
    assert json.loads(body)["code"] == "sender_memory"
    assert connection.state is State.LINGER
    assert worker._buffered.size == 0
