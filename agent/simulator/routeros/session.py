"""One API session of a client with a router."""

import asyncio
import hmac
import secrets
from collections.abc import Iterable

from agent.simulator.blueprint import Router
from agent.simulator.connections import CHUNK, Connection
from agent.simulator.routeros.commands import (
    INTERRUPTED,
    Command,
    Sentence,
    Trap,
    parse,
    reply_to,
)
from agent.simulator.routeros.protocol import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    Decoder,
    ProtocolError,
    encode_sentence,
)
from agent.simulator.simulation import Simulation

LOGIN_SECONDS = 30.0
MAX_STREAMS = 16
STREAM_SECONDS = 1.0


class SessionEnded(Exception):
    """The router ends the session: `!fatal`, a reason as a bare word, and the connection closes."""


class Session:
    """Reads commands and replies, with the latency of the path between client and router."""

    def __init__(self, connection: Connection, router: Router, simulation: Simulation) -> None:
        self._connection = connection
        self._router = router
        self._simulation = simulation
        self._path = simulation.session_path(connection.source_address, router.name)
        self._decoder = Decoder(BEFORE_LOGIN)
        self._logged_in = False
        self._streams: dict[str | None, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Returns when the session ends. Raises connections.ConnectionClosed."""
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                while not self._logged_in:
                    await self._log_in(await self._next_command())
            while True:
                await self._execute(await self._next_command())
        except TimeoutError:
            await self._connection.wait_until_open(
                self._path
            )  # without a path the end does not arrive either
        except (SessionEnded, ProtocolError) as end:
            await self._send([["!fatal", str(end)]], tag=None)
            await self._connection.close_gracefully()
        finally:
            for stream in self._streams.values():
                stream.cancel()

    async def _next_command(self) -> Command:
        """Raises ProtocolError, ConnectionClosed."""
        while (sentence := self._decoder.next_sentence()) is None:
            self._decoder.feed(await self._connection.read(self._path))
        await asyncio.sleep(self._path.round_trip.total_seconds())
        return parse(sentence)

    async def _log_in(self, command: Command) -> None:
        """Since 6.43 name and password are sent in plaintext; the old challenge gets a reply, but is never accepted.

        Raises SessionEnded for any other command.
        """
        if command.path != "/login":
            raise SessionEnded("not logged in")
        name, password = command.attributes.get("name"), command.attributes.get("password", "")
        if name is None:
            await self._send([["!done", f"=ret={secrets.token_hex(16)}"]], tag=command.tag)
            return
        if not self._is_known(name, password):
            refusal = Trap("invalid user name or password (6)")
            await self._send([*refusal.sentences(), ["!done"]], tag=command.tag)
            return
        self._logged_in = True
        self._decoder.limits = AFTER_LOGIN
        await self._send([["!done"]], tag=command.tag)

    def _is_known(self, name: str, password: str) -> bool:
        isp = self._simulation.isp
        credentials = f"{name}\0{password}".encode("utf-8", "surrogateescape")
        return hmac.compare_digest(credentials, f"{isp.username}\0{isp.password}".encode())

    async def _execute(self, command: Command) -> None:
        """Raises SessionEnded on /quit."""
        match command.path:
            case "/quit":
                raise SessionEnded("session terminated on request")
            case "/login":
                await self._log_in(command)
            case "/cancel":
                await self._cancel(command)
            case _ if command.is_stream:
                await self._begin_stream(command)
            case _:
                await self._reply(command)

    async def _reply(self, command: Command) -> None:
        try:
            await self._send(
                reply_to(self._simulation.view(self._router), command), tag=command.tag
            )
        except Trap as trap:
            await self._send([*trap.sentences(), ["!done"]], tag=command.tag)

    async def _begin_stream(self, command: Command) -> None:
        """One stream per tag: replies of two streams with the same tag could not be told apart."""
        if command.tag in self._streams or len(self._streams) >= MAX_STREAMS:
            busy = Trap("too many commands with this tag", category=5)
            await self._send([*busy.sentences(), ["!done"]], tag=command.tag)
            return
        self._streams[command.tag] = asyncio.create_task(self._stream(command))

    async def _stream(self, command: Command) -> None:
        section = 0
        try:
            while True:
                rounds = reply_to(self._simulation.view(self._router), command)
                await self._send(
                    ([*sentence, f"=.section={section}"] for sentence in rounds), tag=command.tag
                )
                section += 1
                await asyncio.sleep(STREAM_SECONDS)
        except Trap as trap:
            self._streams.pop(command.tag, None)
            await self._send([*trap.sentences(), ["!done"]], tag=command.tag)
        except ConnectionError:
            self._connection.writer.close()  # the reader notices it and ends the session

    async def _cancel(self, command: Command) -> None:
        """One command by its tag, or all of them."""
        tags = [command.attributes["tag"]] if "tag" in command.attributes else [*self._streams]
        interrupted = Trap("interrupted", category=INTERRUPTED)
        for tag in tags:
            stream = self._streams.pop(tag, None)
            if stream is not None:
                stream.cancel()
                await self._send([*interrupted.sentences(), ["!done"]], tag=tag)
        await self._send([["!done"]], tag=command.tag)

    async def _send(self, sentences: Iterable[Sentence], *, tag: str | None) -> None:
        """Sends whole sentences, so that replies of two commands may interleave without corruption."""
        suffix = [] if tag is None else [f".tag={tag}"]
        pending = bytearray()
        for sentence in sentences:
            pending += encode_sentence([*sentence, *suffix])
            if len(pending) >= CHUNK:
                await self._connection.write(bytes(pending), self._path)
                pending.clear()
        if pending:
            await self._connection.write(bytes(pending), self._path)
