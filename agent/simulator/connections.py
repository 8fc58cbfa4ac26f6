"""TCP over the simulated network: while there is no path, no data arrives and no connection closes."""

import asyncio
import contextlib
import errno
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterable

from agent.simulator.simulation import NetworkPath

CHUNK = 65_536
LINGER_SECONDS = 1.0


class ConnectionClosed(ConnectionError):
    """The peer has closed the connection."""


class PortInUse(Exception):
    """Another process listens on the port; the message is shown to the user."""

    @staticmethod
    def from_error(error: OSError, host: str, port: int) -> "PortInUse":
        if error.errno == errno.EADDRINUSE:
            return PortInUse(
                f"Port {port} on {host} is in use; end what uses it or choose another."
            )
        return PortInUse(f"Cannot listen on {host}:{port}: {error.strerror}.")


class EofAwareReader(asyncio.StreamReader):
    """Detects that the peer has closed even while nothing reads, so that a blocked connection ends too."""

    def __init__(self) -> None:
        super().__init__(limit=CHUNK, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.ended.set()


class Connection:
    """One accepted connection. The kernel accepts it even while the simulated path is lost."""

    def __init__(self, reader: EofAwareReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.source_address: str = (writer.get_extra_info("peername") or ("",))[0]

    async def wait_until_open(self, path: NetworkPath) -> None:
        """Wait while the path is lost. Raises ConnectionClosed as soon as either end closes."""
        while not path.is_open:
            if self.reader.ended.is_set():
                raise ConnectionClosed
            waits = {
                asyncio.ensure_future(path.simulation.wait_for_change()),
                asyncio.ensure_future(self.reader.ended.wait()),
            }
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        if path.is_reset:
            raise ConnectionClosed

    async def read(self, path: NetworkPath) -> bytes:
        """The data of the peer, once there is a path. Raises ConnectionClosed."""
        try:
            data = await self.reader.read(CHUNK)
        except OSError:
            raise ConnectionClosed from None
        await self.wait_until_open(path)
        if not data:
            raise ConnectionClosed
        return data

    async def write(self, data: bytes, path: NetworkPath) -> None:
        """Raises ConnectionClosed."""
        await self.wait_until_open(path)
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            raise ConnectionClosed from None

    async def close_gracefully(self) -> None:
        """Close the sending side, then drain what the peer sends: a reset would discard the last sentences."""
        with contextlib.suppress(OSError):
            if self.writer.can_write_eof():  # TLS has no half-closed connections
                self.writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self.reader.read(CHUNK):
                    pass


async def abort_connections(writers: Iterable[asyncio.StreamWriter]) -> None:
    """Abort connections at once, with unsent data: a graceful close may wait forever for a peer that does not read."""
    for writer in list(writers):
        with contextlib.suppress(
            AttributeError
        ):  # CPython 3.11.2: a TLS transport that was closed twice
            writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


Handler = Callable[[Connection], Awaitable[None]]


class Listener:
    """Accepts connections at one address and aborts them all when it closes."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()

    async def start(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Start listening; returns the port, chosen by the system if `port` is 0. Raises PortInUse."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._protocol, host, port, reuse_address=True, ssl=tls
            )
        except OSError as error:
            raise PortInUse.from_error(error, host, port) from None
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await abort_connections(self._writers)

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = EofAwareReader()
        return asyncio.StreamReaderProtocol(reader, lambda _, writer: self._accept(reader, writer))

    def _accept(self, reader: EofAwareReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(Connection(reader, writer)))
        self._tasks.add(task)
        self._writers.add(writer)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        sock = connection.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(ConnectionClosed):
                await self._handle(connection)
        finally:
            connection.writer.close()
