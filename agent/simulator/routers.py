"""All routers of the ISP, each listening on its own loopback address."""

import asyncio
import ssl
from collections import Counter
from functools import partial
from typing import cast

from agent.simulator import seeded
from agent.simulator.blueprint import Router
from agent.simulator.connections import Connection, Listener, PortInUse
from agent.simulator.routeros.session import Session
from agent.simulator.simulation import Simulation

MAX_SESSIONS = 20  # RouterOS's default for /ip/service
Address = tuple[str, int]
ApiSsl = tuple[int, ssl.SSLContext]  # port of api-ssl, and its certificate


class Routers:
    """The API and the UDP echo of every router."""

    def __init__(
        self,
        simulation: Simulation,
        *,
        api_port: int,
        echo_port: int,
        api_ssl: ApiSsl | None = None,
    ) -> None:
        self._simulation = simulation
        self._api_ports = [(api_port, None), *([api_ssl] if api_ssl else [])]
        self._echo_port = echo_port
        self._listeners: list[Listener] = []
        self._echoes: list[asyncio.DatagramTransport] = []
        self._sessions: Counter[tuple[str, int]] = Counter()

    async def start(self) -> None:
        """Raises PortInUse."""
        for router in self._simulation.isp.routers:
            for port, tls in self._api_ports:
                listener = Listener(partial(self._serve, router))
                await listener.start(router.address, port, tls=tls)
                self._listeners.append(listener)
            await self._start_echo(router)

    async def close(self) -> None:
        for echo in self._echoes:
            echo.close()
        for listener in self._listeners:
            await listener.close()

    async def _start_echo(self, router: Router) -> None:
        loop = asyncio.get_running_loop()
        address = (router.address, self._echo_port)
        try:
            echo, _ = await loop.create_datagram_endpoint(
                lambda: Echo(self._simulation, router), local_addr=address
            )
        except OSError as error:
            raise PortInUse.from_error(error, *address) from None
        self._echoes.append(echo)

    async def _serve(self, router: Router, connection: Connection) -> None:
        """A connection without a path has not reached the router, so it does not count as a session."""
        await connection.wait_until_open(
            self._simulation.api_path(connection.source_address, router.name)
        )
        # Sessions from before a boot do not count.
        slot = (router.name, self._simulation.boots(router.name))
        if self._sessions[slot] >= MAX_SESSIONS:
            return
        self._sessions[slot] += 1
        try:
            await Session(connection, router, self._simulation).run()
        finally:
            self._sessions[slot] -= 1


class Echo(asyncio.DatagramProtocol):
    """Returns every datagram after the round-trip time of the path, or drops it."""

    def __init__(self, simulation: Simulation, router: Router) -> None:
        self._simulation = simulation
        self._router = router
        self._transport: asyncio.DatagramTransport | None = None
        self._loss_rng = seeded.rng(simulation.isp.seed, "loss", router.name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        path = self._simulation.path(addr[0], self._router.name)
        if not path.is_open or self._loss_rng.random() >= path.route.delivery_ratio:
            return
        delay = path.round_trip + 2 * path.route.delay
        asyncio.get_running_loop().call_later(delay.total_seconds(), self._return, data, addr)

    def error_received(self, exc: Exception) -> None:
        """The sender is gone; nothing to do."""

    def _return(self, data: bytes, addr: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, addr)
