"""A TCP relay from the agents to the server that blocks while the simulated network has no path."""

import asyncio
import contextlib

from agent.simulator.connections import CHUNK, Connection, Listener, abort_connections
from agent.simulator.simulation import NetworkPath, Simulation

CONNECT_SECONDS = 5.0


class Relay:
    """Forwards bytes between an agent and the server while there is a path between their positions.

    Without a path nothing is lost and nothing is closed: reading stops, TCP buffers what was sent, and after the
    repair forwarding continues.
    """

    def __init__(self, simulation: Simulation, *, target: tuple[str, int]) -> None:
        self._simulation = simulation
        self._target = target
        self._listener = Listener(self._serve)

    async def start(self, host: str, port: int) -> int:
        """Raises connections.PortInUse."""
        return await self._listener.start(host, port)

    async def close(self) -> None:
        await self._listener.close()

    async def _serve(self, connection: Connection) -> None:
        path = self._simulation.path(connection.source_address, self._simulation.isp.server_at)
        await connection.wait_until_open(path)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(*self._target, limit=CHUNK)
        except (OSError, TimeoutError):
            return  # no server: the connection is closed, as by a closed port
        try:
            await self._forward(connection, reader, writer, path)
        except asyncio.CancelledError:
            await abort_connections([writer])  # the simulator stops: unsent data will not be read
            raise
        finally:
            writer.close()

    async def _forward(
        self,
        connection: Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        path: NetworkPath,
    ) -> None:
        """Until both directions have ended, or one fails."""
        pumps = [
            asyncio.create_task(pump(connection.reader, writer, path)),
            asyncio.create_task(pump(reader, connection.writer, path)),
        ]
        try:
            await asyncio.gather(*pumps)
        except OSError:
            await path.wait_until_open()  # a reset does not arrive without a path either
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, path: NetworkPath
) -> None:
    """One direction, end of stream included. Raises OSError."""
    while data := await source.read(CHUNK):
        await path.wait_until_open()
        target.write(data)
        await target.drain()
    await path.wait_until_open()
    with contextlib.suppress(OSError):
        target.write_eof()
