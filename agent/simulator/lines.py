"""TCP as the simulated network carries it: while the path is lost nothing arrives, nothing is closed."""

import asyncio
import contextlib
import errno
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterable

from agent.simulator.world import Way

CHUNK = 65_536
LINGER_SECONDS = 1.0


class HungUp(ConnectionError):
    """The peer is gone."""


class PortBusy(Exception):
    """Somebody else listens there; the message is for the person who started us."""

    @staticmethod
    def told(error: OSError, host: str, port: int) -> "PortBusy":
        if error.errno == errno.EADDRINUSE:
            return PortBusy(f"Port {port} on {host} is in use; end what uses it or choose another.")
        return PortBusy(f"Cannot listen on {host}:{port}: {error.strerror}.")


class WatchedReader(asyncio.StreamReader):
    """Tells that the peer has hung up even while nobody reads: a silent line still has to be let go."""

    def __init__(self) -> None:
        super().__init__(limit=CHUNK, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.ended.set()


class Line:
    """One accepted connection. The kernel answered it; whether the far end exists is the path's matter."""

    def __init__(self, reader: WatchedReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.source_address: str = (writer.get_extra_info("peername") or ("",))[0]

    async def until_open(self, way: Way) -> None:
        """Silence while the path is lost. Raises HungUp as soon as either end gives up."""
        while not way.is_open:
            if self.reader.ended.is_set():
                raise HungUp
            waits = {
                asyncio.ensure_future(way.world.change()),
                asyncio.ensure_future(self.reader.ended.wait()),
            }
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        if way.is_lost:
            raise HungUp

    async def read(self, way: Way) -> bytes:
        """What the peer sent, once it has come through. Raises HungUp."""
        try:
            data = await self.reader.read(CHUNK)
        except OSError:
            raise HungUp from None
        await self.until_open(way)
        if not data:
            raise HungUp
        return data

    async def write(self, data: bytes, way: Way) -> None:
        """Raises HungUp."""
        await self.until_open(way)
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            raise HungUp from None

    async def say_no_more(self) -> None:
        """Ends our half, then lets run out what the peer still sends: a reset would eat our last words."""
        with contextlib.suppress(OSError):
            if self.writer.can_write_eof():  # TLS has no half-closed connections
                self.writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self.reader.read(CHUNK):
                    pass


async def hang_up(writers: Iterable[asyncio.StreamWriter]) -> None:
    """Ends connections at once, unsent bytes or not: a closed one waits for a peer that may never read them."""
    for writer in list(writers):
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


Handler = Callable[[Line], Awaitable[None]]


class Listener:
    """Accepts connections at one address and ends them all with itself."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()

    async def start(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listens; returns the port, which is the one given unless that was 0. Raises PortBusy."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._protocol, host, port, reuse_address=True, ssl=tls
            )
        except OSError as error:
            raise PortBusy.told(error, host, port) from None
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._lines:
            task.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)
        await hang_up(self._writers)

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = WatchedReader()
        return asyncio.StreamReaderProtocol(reader, lambda _, writer: self._accept(reader, writer))

    def _accept(self, reader: WatchedReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(Line(reader, writer)))
        self._lines.add(task)
        self._writers.add(writer)
        task.add_done_callback(self._lines.discard)

    async def _serve(self, line: Line) -> None:
        connection = line.writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(HungUp):
                await self._handle(line)
        finally:
            line.writer.close()
