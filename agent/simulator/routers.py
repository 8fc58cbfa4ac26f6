"""All routers of the ISP, each listening at its own loopback address."""

import asyncio
import ssl
from collections import Counter
from functools import partial
from typing import cast

from agent.simulator import draws
from agent.simulator.blueprint import Router
from agent.simulator.lines import Line, Listener, PortBusy
from agent.simulator.routeros.session import Session
from agent.simulator.world import World

MOST_SESSIONS = 20  # RouterOS's default for /ip/service
Address = tuple[str, int]
ApiSsl = tuple[int, ssl.SSLContext]  # port of api-ssl, and its certificate


class Routers:
    """The API and the UDP echo of every router."""

    def __init__(
        self, world: World, *, api_port: int, echo_port: int, api_ssl: ApiSsl | None = None
    ) -> None:
        self._world = world
        self._api_ports = [(api_port, None), *([api_ssl] if api_ssl else [])]
        self._echo_port = echo_port
        self._listeners: list[Listener] = []
        self._echoes: list[asyncio.DatagramTransport] = []
        self._sessions: Counter[tuple[str, int]] = Counter()

    async def start(self) -> None:
        """Raises PortBusy."""
        for router in self._world.isp.routers:
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
                lambda: Echo(self._world, router), local_addr=address
            )
        except OSError as error:
            raise PortBusy.told(error, *address) from None
        self._echoes.append(echo)

    async def _serve(self, router: Router, line: Line) -> None:
        """A connection on a lost path never reached the router, so it takes no seat there."""
        await line.until_open(self._world.api_way(line.source_address, router.name))
        seat = (
            router.name,
            self._world.boots(router.name),
        )  # who was there before a boot sits nowhere
        if self._sessions[seat] >= MOST_SESSIONS:
            return
        self._sessions[seat] += 1
        try:
            await Session(line, router, self._world).run()
        finally:
            self._sessions[seat] -= 1


class Echo(asyncio.DatagramProtocol):
    """Returns every datagram after the path's round trip, or loses it with the path or on it."""

    def __init__(self, world: World, router: Router) -> None:
        self._world = world
        self._router = router
        self._transport: asyncio.DatagramTransport | None = None
        self._luck = draws.draw(world.isp.seed, "loss", router.name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        way = self._world.way(addr[0], self._router.name)
        if not way.is_open or self._luck.random() >= way.trip.arrives:
            return
        delay = way.round_trip + 2 * way.trip.delay
        asyncio.get_running_loop().call_later(delay.total_seconds(), self._return, data, addr)

    def error_received(self, exc: Exception) -> None:
        """Whoever asked is not there any more: nothing to do."""

    def _return(self, data: bytes, addr: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, addr)
