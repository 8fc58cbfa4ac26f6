"""Runs the whole simulator in one process until it is stopped."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.simulator.certificate import server_context
from agent.simulator.control import Control
from agent.simulator.generator import generate_blueprint
from agent.simulator.relay import Relay
from agent.simulator.routeros.version import DEFAULT_V6
from agent.simulator.routers import Routers
from agent.simulator.simulation import Simulation
from agent.simulator.state import StateFile

Address = tuple[str, int]


@dataclass(frozen=True)
class ServeOptions:
    """Options of `serve`."""

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
class RunningSimulator:
    """A started simulator with its ports."""

    simulation: Simulation
    relay: Relay
    control_port: int
    relay_port: int


async def start(
    options: ServeOptions, stack: AsyncExitStack, *, log: Callable[[str], None] = print
) -> RunningSimulator:
    """Everything listens when this returns. The control port opens last: it signals readiness.

    Raises connections.PortInUse, state.StateError, OSError.
    """
    simulation = Simulation(
        generate_blueprint(options.seed, v6=options.v6), StateFile(options.state_dir), log=log
    )
    ports = {"api_port": options.api_port, "echo_port": options.echo_port}
    task = asyncio.create_task(simulation.run())
    stack.callback(task.cancel)
    port = options.api_ssl_port
    api_ssl = None if port is None else (port, server_context(options.state_dir))
    routers = Routers(simulation, **ports, api_ssl=api_ssl)
    stack.push_async_callback(routers.close)
    await routers.start()
    relay = Relay(simulation, target=options.relay_to)
    stack.push_async_callback(relay.close)
    relay_port = await relay.start(*options.relay_listen)
    simulation.save()  # only after the ports are bound: another running simulator keeps its folder
    control = Control(simulation, **ports)
    stack.push_async_callback(control.close)
    control_port = await control.start(*options.control)
    return RunningSimulator(simulation, relay, control_port, relay_port)


async def serve(options: ServeOptions) -> None:
    """Until SIGTERM or SIGINT. Raises connections.PortInUse, state.StateError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        running = await start(options, stack)
        isp = running.simulation.isp
        print(f"{isp.isp}: {len(isp.routers)} routers listen on API port {options.api_port}.")
        print(f"Control: http://{options.control[0]}:{running.control_port}")
        await stop.wait()
    print("Stopped.")
