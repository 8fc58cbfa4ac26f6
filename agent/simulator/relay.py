"""The agents' way to the server: a TCP relay that falls silent when the network between them does."""

import asyncio
import contextlib

from agent.simulator.lines import CHUNK, Line, Listener, hang_up
from agent.simulator.world import Way, World

CONNECT_SECONDS = 5.0


class Relay:
    """Carries bytes between an agent's place and the server's, as long as a path joins them.

    Nothing is lost and nothing is closed while there is none: reading stops, TCP keeps what was sent, and
    after the repair it flows on.
    """

    def __init__(self, world: World, *, target: tuple[str, int]) -> None:
        self._world = world
        self._target = target
        self._listener = Listener(self._serve)

    async def start(self, host: str, port: int) -> int:
        """Raises lines.PortBusy."""
        return await self._listener.start(host, port)

    async def close(self) -> None:
        await self._listener.close()

    async def _serve(self, line: Line) -> None:
        way = self._world.way(line.source_address, self._world.isp.server_at)
        await line.until_open(way)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(*self._target, limit=CHUNK)
        except (OSError, TimeoutError):
            return  # nobody serves there: the agent is hung up on, as a closed port would
        try:
            await self._carry(line, reader, writer, way)
        except asyncio.CancelledError:
            await hang_up([writer])  # the simulation ends: nobody will take what is still unsent
            raise
        finally:
            writer.close()

    async def _carry(
        self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        """Until both directions are done, or one of them breaks."""
        pumps = [
            asyncio.create_task(pump(line.reader, writer, way)),
            asyncio.create_task(pump(reader, line.writer, way)),
        ]
        try:
            await asyncio.gather(*pumps)
        except OSError:
            await way.until_open()  # not even a reset comes through a lost path
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, way: Way) -> None:
    """One direction, end of stream included. Raises OSError."""
    while data := await source.read(CHUNK):
        await way.until_open()
        target.write(data)
        await target.drain()
    await way.until_open()
    with contextlib.suppress(OSError):
        target.write_eof()
