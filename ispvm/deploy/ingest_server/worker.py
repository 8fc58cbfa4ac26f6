"""gunicorn's threaded worker, with all waiting for the network in the main thread."""

import errno
import json
import resource
import selectors
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import ThreadWorker

from ispvm.deploy.ingest_server.connection import Connection, Refused, State
from ispvm.deploy.ingest_server.limits import Limits
from ispvm.deploy.ingest_server.memory import Buffered
from ispvm.deploy.ingest_server.table import ConnectionTable
from ispvm.deploy.ingest_server.tls import TlsContext

#: Maximum connections accepted in one iteration of the loop.
ACCEPTS = 64
SWEEP_SECONDS = 0.5
#: Files that the process needs besides its connections: database, Redis, metrics, logs.
RESERVED_FILES = 128
#: The client disconnected, or has had time to read its last response.
_CLEAN_REASONS = {"left", "linger"}
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class RequestConnection:
    """A connection in the form that gunicorn's request handling expects."""

    def __init__(self, connection: Connection) -> None:
        self.sock, self.client, self.server = (
            connection.channel,
            connection.client,
            connection.server,
        )


class IngestWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Threads handle complete requests; the main thread waits for all other connections."""

    def init_process(self) -> None:
        self._tls = TlsContext(self.cfg) if self.cfg.is_ssl else None
        self._ready: set[Connection] = set()
        self._buffered = Buffered()
        self._sweep_at = 0.0
        super().init_process()

    def run(self) -> None:
        # Imported here: Django is set up by now, and the master does not need it.
        from django.conf import settings

        from apps.ingest import metrics

        self._metrics = metrics
        self._limits = Limits(per_address=settings.ISPVM_INGEST_ADDRESS_CONNECTIONS)
        self._table: ConnectionTable[Connection] = ConnectionTable(
            total=min(self._limits.connections, _file_limit() - RESERVED_FILES),
            per_address=self._limits.per_address,
            per_certificate=self._limits.per_certificate,
        )
        self.poller.register(self.method_queue.fileno(), _READ, self.method_queue.run_callbacks)
        self.set_accept_enabled(True)
        while self.alive and self.is_parent_alive():
            self._run_once()
        self._stop()

    def _run_once(self) -> None:
        self.notify()
        ready, self._ready = self._ready, set()
        self.wait_for_and_dispatch_events(timeout=0.0 if ready else SWEEP_SECONDS)
        for connection in ready:
            self._advance(connection)
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            self._sweep(now)

    def _stop(self) -> None:
        """Finish complete requests; the agents send the rest again."""
        self.set_accept_enabled(False)
        for connection in self._table:
            if connection.is_evictable:
                self._drop(connection, "stop")
        until = time.monotonic() + self.cfg.graceful_timeout
        while len(self._table) and time.monotonic() < until:
            self._run_once()
        self.tpool.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()
        for listener in self.sockets:
            listener.close()

    def accept(self, listener: Any) -> None:
        """Accept pending connections without blocking."""
        for _ in range(ACCEPTS):
            try:
                raw, client = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    self.log.warning("ingest_accept_failed: %s", error.strerror)
                elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                    raise
                return
            self._begin(raw, client, listener.getsockname())

    def _begin(self, raw: socket.socket, client: Any, server: Any) -> None:
        raw.setblocking(False)
        try:
            sock = self._wrap(raw)
        except OSError as error:
            self.log.warning("ingest_tls_unavailable: %s", error)
            raw.close()
            return
        connection = Connection(
            config=self.cfg,
            sock=sock,
            client=client,
            server=server,
            limits=self._limits,
            buffered=self._buffered,
            now=time.monotonic(),
        )
        self._metrics.CONNECTIONS_OPEN.inc()
        self.poller.register(sock, _READ, partial(self._on_ready, connection))
        self._add(connection)

    def _wrap(self, raw: socket.socket) -> socket.socket:
        if self._tls is None:
            return raw
        return self._tls.current().wrap_socket(
            raw,
            server_side=True,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=self.cfg.suppress_ragged_eofs,
        )

    def _add(self, connection: Connection) -> None:
        for victim in self._table.add(connection):
            self._drop(victim, "certificate" if victim.certificate else "address")

    def _on_ready(self, connection: Connection, _file: Any) -> None:
        self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """Process a connection as far as possible without blocking."""
        if connection.state in {State.WORKING, State.CLOSED}:
            return  # closed for another connection in the same iteration
        now = time.monotonic()
        try:
            self._step(connection, now)
        except Refused as refused:
            self._refuse(connection, refused, now)
        except (OSError, StopIteration, NoMoreData):
            self._drop(connection, "broken")
        except Exception as error:  # noqa: BLE001  # of gunicorn's parser: handle_error knows which ones the client caused
            self.handle_error(None, connection.channel, connection.client, error)
            self._send(connection, now)

    def _step(self, connection: Connection, now: float) -> None:
        if connection.state is State.SENDING:
            self._continue_sending(connection, now)
            return
        if connection.state is State.HANDSHAKE:
            if not connection.continue_handshake(now):
                self._watch(connection)
                return
            self._add(connection)  # counted by certificate from now on
        self._after_input(connection, more=connection.read(now))
        self._bound_buffers()

    def _after_input(self, connection: Connection, *, more: bool) -> None:
        if connection.state is State.CLOSED:
            self._drop(connection, "left")
            return
        if connection.state is State.WORKING:
            self._work(connection)
        elif more:
            self._ready.add(connection)
        else:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        events = _WRITE if connection.wants_write else _READ
        try:
            if self.poller.get_key(connection.sock).events != events:
                self.poller.modify(connection.sock, events, partial(self._on_ready, connection))
        except KeyError:
            self.poller.register(connection.sock, events, partial(self._on_ready, connection))

    def _unwatch(self, connection: Connection) -> None:
        with suppress(KeyError):  # not registered while a thread handles its request
            self.poller.unregister(connection.sock)

    def _work(self, connection: Connection) -> None:
        self._unwatch(connection)  # further input stays in the kernel
        future = self.tpool.submit(self._handle, connection)
        future.add_done_callback(
            lambda done: self.method_queue.defer(self._finish, connection, done)
        )

    def _handle(self, connection: Connection) -> None:
        """Handle a complete request. Runs in a thread of the pool."""
        request, view = connection.request, RequestConnection(connection)
        try:
            connection.keep_alive = bool(self.handle_request(request, view))
        except (StopIteration, NoMoreData):
            connection.keep_alive = False
        except Exception as error:  # noqa: BLE001  # handle_error logs it and answers 400 or 500
            self.handle_error(request, connection.channel, connection.client, error)

    def _finish(self, connection: Connection, done: Future[None]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._drop(connection, "broken")
            return
        connection.keep_alive = connection.can_keep_alive and self.alive
        self._send(connection, time.monotonic())

    def _send(self, connection: Connection, now: float) -> None:
        connection.respond(now)
        self._advance(connection)

    def _continue_sending(self, connection: Connection, now: float) -> None:
        if not connection.flush():
            self._watch(connection)
        elif not (connection.keep_alive and self.alive):
            connection.linger(now)
            self._watch(connection)
        else:
            connection.next_request(now)
            self._after_input(connection, more=True)

    def _refuse(self, connection: Connection, refused: Refused, now: float) -> None:
        self._metrics.CONNECTIONS_CLOSED.labels(refused.code).inc()
        body = json.dumps({"code": refused.code, "detail": refused.detail}).encode()
        retry = f"Retry-After: {refused.retry_after}\r\n" if refused.retry_after else ""
        connection.output += (
            f"HTTP/1.1 {refused.status}\r\nContent-Type: application/json\r\n{retry}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body
        connection.keep_alive = False
        self._send(connection, now)

    def _sweep(self, now: float) -> None:
        for connection in self._table:
            reason = connection.timeout_reason(now)
            if reason:
                self._drop(connection, reason)

    def _bound_buffers(self) -> None:
        while self._buffered.incomplete > self._limits.buffered_bytes:
            victim = self._table.largest_buffer()
            if victim is None:
                return
            self._drop(victim, "memory")

    def _drop(self, connection: Connection, reason: str) -> None:
        if not self._table.remove(connection):
            return
        self._ready.discard(connection)
        self._unwatch(connection)
        self._metrics.CONNECTIONS_OPEN.dec()
        if reason not in _CLEAN_REASONS:
            self._metrics.CONNECTIONS_CLOSED.labels(reason).inc()
        connection.close(reset=reason not in _CLEAN_REASONS)


def _file_limit() -> int:
    """Number of files that this process may open, raised up to its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = Limits.connections + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft
