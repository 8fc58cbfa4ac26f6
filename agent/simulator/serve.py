"""Runs the whole simulation in one process until it is told to stop."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.simulator.certificate import server_context
from agent.simulator.control import Control
from agent.simulator.drawing import draw_blueprint
from agent.simulator.relay import Relay
from agent.simulator.routeros.version import DEFAULT_V6
from agent.simulator.routers import Routers
from agent.simulator.state import StateFile
from agent.simulator.world import World

Address = tuple[str, int]


@dataclass(frozen=True)
class Plan:
    """Everything one has to decide to run it."""

    seed: int
    state_dir: Path
    control: Address
    relay_listen: Address
    relay_to: Address
    api_port: int
    echo_port: int
    api_ssl_port: int | None = None
    v6: tuple[str, ...] = DEFAULT_V6


@dataclass(frozen=True)
class Running:
    """A simulation that answers."""

    world: World
    relay: Relay
    control_port: int
    relay_port: int


async def start(
    plan: Plan, stack: AsyncExitStack, *, tell: Callable[[str], None] = print
) -> Running:
    """Everything listens when this returns; the control port last, for whoever waits for it.

    Raises lines.PortBusy, state.StateError, OSError.
    """
    world = World(draw_blueprint(plan.seed, v6=plan.v6), StateFile(plan.state_dir), tell=tell)
    ports = {"api_port": plan.api_port, "echo_port": plan.echo_port}
    life = asyncio.create_task(world.run())
    stack.callback(life.cancel)
    port = plan.api_ssl_port
    api_ssl = None if port is None else (port, server_context(plan.state_dir))
    routers = Routers(world, **ports, api_ssl=api_ssl)
    stack.push_async_callback(routers.close)
    await routers.start()
    relay = Relay(world, target=plan.relay_to)
    stack.push_async_callback(relay.close)
    relay_port = await relay.start(*plan.relay_listen)
    world.save()  # ours now: whoever runs already has the ports and keeps the folder
    control = Control(world, **ports)
    stack.push_async_callback(control.close)
    control_port = await control.start(*plan.control)
    return Running(world, relay, control_port, relay_port)


async def serve(plan: Plan) -> None:
    """Until SIGTERM or SIGINT. Raises lines.PortBusy, state.StateError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        running = await start(plan, stack)
        isp = running.world.isp
        print(f"{isp.isp}: {len(isp.routers)} routers answer on API port {plan.api_port}.")
        print(f"Control: http://{plan.control[0]}:{running.control_port}")
        await stop.wait()
    print("Ended.")
