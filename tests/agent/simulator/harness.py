"""A simulator in a thread of this process, and clients with the addresses of agents."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from agent.simulator.client import request
from agent.simulator.connections import abort_connections
from agent.simulator.routeros.protocol import AFTER_LOGIN, Decoder, encode_sentence
from agent.simulator.routers import MAX_SESSIONS
from agent.simulator.serve import ServeOptions, start
from tests import slots
from tests.supervisor.waiting import HANG_SECONDS, attempts

AGENT_CORE, AGENT_NORTH, UNKNOWN_SOURCE = "127.30.0.1", "127.30.0.2", "127.0.0.1"
TIMEOUT_SECONDS = HANG_SECONDS  # wait for what must happen
SILENCE_SECONDS = 0.15  # wait for what must not happen


def free_port(host: str = "127.20.0.1") -> int:
    return slots.free_port(host)


def options_for(state_dir: Path, *, relay_to: tuple[str, int], seed: int = 1) -> ServeOptions:
    return ServeOptions(
        seed=seed,
        state_dir=state_dir,
        control=("127.0.0.1", 0),
        relay_listen=("127.40.0.1", 0),
        relay_to=relay_to,
        api_port=free_port(),
        echo_port=free_port(),
    )


class EventLoopThread:
    """A server with an event loop in a thread of its own, while the test blocks in sockets."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(TIMEOUT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMEOUT_SECONDS)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        raise NotImplementedError


class SimulatorThread(EventLoopThread):
    """A running simulator."""

    def __init__(self, options: ServeOptions) -> None:
        super().__init__()
        self.options = options
        self.messages: list[str] = []

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            self._running = await start(self.options, stack, log=self.messages.append)
            self._ready.set()
            await self._stop.wait()

    @property
    def simulation(self):
        return self._running.simulation

    @property
    def control(self) -> tuple[str, int]:
        return "127.0.0.1", self._running.control_port

    @property
    def relay(self) -> tuple[str, int]:
        return "127.40.0.1", self._running.relay_port

    def request(self, method: str, path: str, body=None):
        return request(self.control, method, path, body)

    def cut(self, link: str) -> str:
        return self.inject("link_cut", link=link)

    def inject(self, kind: str, **details) -> str:
        return self.request("POST", "/failures", {"kind": kind, **details})["id"]

    def heal(self) -> None:
        self.request("DELETE", "/failures")

    def address(self, device: str) -> tuple[str, int]:
        return self.simulation.isp.router(device).address, self.options.api_port

    def echo_address(self, device: str) -> tuple[str, int]:
        return self.simulation.isp.router(device).address, self.options.echo_port

    @contextmanager
    def connected(self, device: str, source: str = AGENT_CORE):
        with connect(self.address(device), source) as connection:
            yield Client(connection)

    @contextmanager
    def logged_in(self, device: str, source: str = AGENT_CORE):
        with self.connected(device, source) as client:
            isp = self.simulation.isp
            assert client.command(
                "/login", f"=name={isp.username}", f"=password={isp.password}"
            ) == [["!done"]]
            yield client


class EchoServer(EventLoopThread):
    """Replaces the ingest server and echoes all data."""

    port = 0

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._echo, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            writer.close()
        finally:
            if self._stop.is_set():
                await abort_connections([writer])


def connect(address: tuple[str, int], source: str) -> socket.socket:
    return socket.create_connection(address, timeout=TIMEOUT_SECONDS, source_address=(source, 0))


@contextmanager
def all_sessions_in_use(sim: SimulatorThread, device: str) -> Iterator[None]:
    """As soon as they are free: a router notices closed sessions with a delay."""
    for _ in attempts(f"all sessions of {device} being free"):
        with suppress(AssertionError, OSError), ExitStack() as sessions:
            for _ in range(MAX_SESSIONS):
                sessions.enter_context(sim.logged_in(device))
            held = sessions.pop_all()
            break
    with held:
        yield


class Client:
    """A plain client of the RouterOS API."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._decoder = Decoder(AFTER_LOGIN)

    def send(self, *words: str) -> None:
        self.socket.sendall(encode_sentence(words))

    def receive(self) -> list[str] | None:
        """The next sentence; None if the router has closed the connection."""
        while (sentence := self._decoder.next_sentence()) is None:
            data = self.socket.recv(65536)
            if not data:
                return None
            self._decoder.feed(data)
        return sentence

    def command(self, *words: str) -> list[list[str]]:
        """All sentences up to and including `!done`."""
        self.send(*words)
        sentences = []
        while not sentences or sentences[-1][0] != "!done":
            sentence = self.receive()
            assert sentence is not None, sentences
            sentences.append(sentence)
        return sentences

    def rows(self, *words: str) -> list[dict[str, str]]:
        return [
            dict(word[1:].split("=", 1) for word in sentence[1:])
            for sentence in self.command(*words)
            if sentence[0] == "!re"
        ]

    def is_silent(self) -> bool:
        """Whether neither data nor an end arrives for a while."""
        self.socket.settimeout(SILENCE_SECONDS)
        try:
            self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_SECONDS)
        return False
