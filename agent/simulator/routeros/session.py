"""One client's conversation with one router."""

import asyncio
import hmac
import secrets
from collections.abc import Iterable

from agent.simulator.blueprint import Router
from agent.simulator.lines import CHUNK, Line
from agent.simulator.routeros.commands import (
    INTERRUPTED,
    Command,
    Sentence,
    Trap,
    answer,
    parse,
)
from agent.simulator.routeros.wire import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    Decoder,
    Malformed,
    encode_sentence,
)
from agent.simulator.world import World

LOGIN_SECONDS = 30.0
MOST_STREAMS = 16
STREAM_SECONDS = 1.0


class Ended(Exception):
    """The router ends the session: `!fatal`, a reason as a bare word, and the connection closes."""


class Session:
    """Reads commands and answers them, in the rhythm of the path between client and router."""

    def __init__(self, line: Line, router: Router, world: World) -> None:
        self._line = line
        self._router = router
        self._world = world
        self._way = world.session_way(line.source_address, router.name)
        self._decoder = Decoder(BEFORE_LOGIN)
        self._logged_in = False
        self._streams: dict[str | None, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Returns when it is over. Raises lines.HungUp."""
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                while not self._logged_in:
                    await self._log_in(await self._next_command())
            while True:
                await self._obey(await self._next_command())
        except TimeoutError:
            await self._line.until_open(self._way)  # not even the end is heard on a lost path
        except (Ended, Malformed) as end:
            await self._say([["!fatal", str(end)]], tag=None)
            await self._line.say_no_more()
        finally:
            for stream in self._streams.values():
                stream.cancel()

    async def _next_command(self) -> Command:
        """Raises Malformed, HungUp."""
        while (sentence := self._decoder.next_sentence()) is None:
            self._decoder.feed(await self._line.read(self._way))
        await asyncio.sleep(self._way.round_trip.total_seconds())
        return parse(sentence)

    async def _log_in(self, command: Command) -> None:
        """Since 6.43 name and password come in the clear; the old challenge is answered, never accepted.

        Raises Ended for any other command.
        """
        if command.path != "/login":
            raise Ended("not logged in")
        name, password = command.attributes.get("name"), command.attributes.get("password", "")
        if name is None:
            await self._say([["!done", f"=ret={secrets.token_hex(16)}"]], tag=command.tag)
            return
        if not self._is_known(name, password):
            refusal = Trap("invalid user name or password (6)")
            await self._say([*refusal.sentences(), ["!done"]], tag=command.tag)
            return
        self._logged_in = True
        self._decoder.limits = AFTER_LOGIN
        await self._say([["!done"]], tag=command.tag)

    def _is_known(self, name: str, password: str) -> bool:
        isp = self._world.isp
        given = f"{name}\0{password}".encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, f"{isp.username}\0{isp.password}".encode())

    async def _obey(self, command: Command) -> None:
        """Raises Ended on /quit."""
        match command.path:
            case "/quit":
                raise Ended("session terminated on request")
            case "/login":
                await self._log_in(command)
            case "/cancel":
                await self._cancel(command)
            case _ if command.is_stream:
                await self._begin_stream(command)
            case _:
                await self._answer(command)

    async def _answer(self, command: Command) -> None:
        try:
            await self._say(answer(self._world.view(self._router), command), tag=command.tag)
        except Trap as trap:
            await self._say([*trap.sentences(), ["!done"]], tag=command.tag)

    async def _begin_stream(self, command: Command) -> None:
        """One stream for each tag: without one, a second would make both unreadable."""
        if command.tag in self._streams or len(self._streams) >= MOST_STREAMS:
            busy = Trap("too many commands with this tag", category=5)
            await self._say([*busy.sentences(), ["!done"]], tag=command.tag)
            return
        self._streams[command.tag] = asyncio.create_task(self._stream(command))

    async def _stream(self, command: Command) -> None:
        section = 0
        try:
            while True:
                rounds = answer(self._world.view(self._router), command)
                await self._say(
                    ([*sentence, f"=.section={section}"] for sentence in rounds), tag=command.tag
                )
                section += 1
                await asyncio.sleep(STREAM_SECONDS)
        except Trap as trap:
            self._streams.pop(command.tag, None)
            await self._say([*trap.sentences(), ["!done"]], tag=command.tag)
        except ConnectionError:
            self._line.writer.close()  # the reader finds out and ends the session

    async def _cancel(self, command: Command) -> None:
        """One command by its tag, or all of them."""
        victims = [command.attributes["tag"]] if "tag" in command.attributes else [*self._streams]
        interrupted = Trap("interrupted", category=INTERRUPTED)
        for tag in victims:
            stream = self._streams.pop(tag, None)
            if stream is not None:
                stream.cancel()
                await self._say([*interrupted.sentences(), ["!done"]], tag=tag)
        await self._say([["!done"]], tag=command.tag)

    async def _say(self, sentences: Iterable[Sentence], *, tag: str | None) -> None:
        """Whole sentences at a time, so that answers of two commands may mix but never break."""
        suffix = [] if tag is None else [f".tag={tag}"]
        pending = bytearray()
        for sentence in sentences:
            pending += encode_sentence([*sentence, *suffix])
            if len(pending) >= CHUNK:
                await self._line.write(bytes(pending), self._way)
                pending.clear()
        if pending:
            await self._line.write(bytes(pending), self._way)
