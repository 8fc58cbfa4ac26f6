"""The command line: `serve` runs the ISP, everything else talks to one that runs."""

import argparse
import asyncio
import ipaddress
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.simulator.client import ControlError, request
from agent.simulator.drawing import ROUTERS
from agent.simulator.failures import KINDS
from agent.simulator.failures.base import CONFIG_CHANGE
from agent.simulator.lines import PortBusy
from agent.simulator.routeros.version import DEFAULT_V6
from agent.simulator.serve import Address, Plan, serve
from agent.simulator.state import StateError

HIGHEST_PORT = 65_535
HIGHEST_SEED = 2**63 - 1
PLAIN_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
KIND_HELP = "one of " + ", ".join((*KINDS, CONFIG_CHANGE))
DEFAULT_CONTROL = "127.0.0.1:8002"


def main(argv: Sequence[str] | None = None) -> int:
    """Answers 0, or 1 after one sentence about what went wrong; argparse ends with 2 itself."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    arguments = parser().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], None] = arguments.run
        run(arguments)
    except (ControlError, PortBusy, StateError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The state folder cannot be used: {error.strerror}.", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m agent.simulator", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands.add_parser("serve", help="run the modelled ISP"))
    told = (
        ("topology", "what was built"),
        ("truth", "what works and what does not"),
        ("links", "the links and their state"),
    )
    for name, explanation in told:
        command = add_client(commands.add_parser(name, help=explanation))
        command.set_defaults(run=tell, path=f"/{name}")
    cut = add_client(commands.add_parser("cut", help="cut a link"))
    cut.add_argument("link", help="the link's id; `links` lists them")
    cut.set_defaults(run=cut_link)
    broken = add_client(commands.add_parser("break", help="let something fail, or change a router"))
    broken.add_argument("kind", choices=[*KINDS, CONFIG_CHANGE], metavar="KIND", help=KIND_HELP)
    broken.add_argument("details", nargs="*", type=detail, metavar="NAME=VALUE", help="what of it")
    broken.set_defaults(run=break_something)
    heal = add_client(commands.add_parser("heal", help="repair one failure, or all"))
    heal.add_argument("failure", nargs="?", help="the failure's id; all of them without it")
    heal.set_defaults(run=heal_failure)
    return root


def add_serve(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=seed, required=True, help="decides names and numbers")
    command.add_argument("--state-dir", type=Path, required=True, help="keeps failures and history")
    command.add_argument("--control", type=address, required=True, metavar="HOST:PORT")
    command.add_argument("--relay-listen", type=address, required=True, metavar="HOST:PORT")
    command.add_argument("--relay-to", type=address, required=True, metavar="HOST:PORT")
    command.add_argument("--api-port", type=port, default=8728, help="of every router")
    command.add_argument("--api-ssl-port", type=port, help="of every router; none without it")
    command.add_argument("--echo-port", type=port, default=7007, help="of every router, UDP")
    command.add_argument(
        "--v6", type=names, default=DEFAULT_V6, metavar="NAMES", help="who runs RouterOS 6"
    )
    command.set_defaults(run=run_server)


def add_client(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument(
        "--control", type=address, default=address(DEFAULT_CONTROL), metavar="HOST:PORT"
    )
    return command


def address(text: str) -> Address:
    """HOST:PORT on loopback: nothing of this is for anybody else."""
    host, _, number = text.rpartition(":")
    try:
        is_loopback = ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT with a loopback IPv4 address")
    return host, port(number)


def port(text: str) -> int:
    return whole_number(text, highest=HIGHEST_PORT)


def seed(text: str) -> int:
    return whole_number(text, highest=HIGHEST_SEED)


def names(text: str) -> tuple[str, ...]:
    """Routers, with commas between them; nobody if it is empty."""
    found = tuple(name for name in text.split(",") if name)
    unknown = set(found) - {name for name, _, _ in ROUTERS}
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no router {', '.join(sorted(unknown))}")
    return found


def detail(text: str) -> tuple[str, str | float]:
    """`link=cr1-cr2`, `ms=120`."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, float(value) if PLAIN_NUMBER.fullmatch(value) else value


def whole_number(text: str, *, highest: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(highest))):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    if int(text) > highest:
        raise argparse.ArgumentTypeError(f"{text} is more than {highest}")
    return int(text)


def run_server(arguments: argparse.Namespace) -> None:
    plan = Plan(
        seed=arguments.seed,
        state_dir=arguments.state_dir,
        control=arguments.control,
        relay_listen=arguments.relay_listen,
        relay_to=arguments.relay_to,
        api_port=arguments.api_port,
        echo_port=arguments.echo_port,
        api_ssl_port=arguments.api_ssl_port,
        v6=arguments.v6,
    )
    asyncio.run(serve(plan))


def tell(arguments: argparse.Namespace) -> None:
    show(request(arguments.control, "GET", arguments.path))


def cut_link(arguments: argparse.Namespace) -> None:
    wish = {"kind": "link_cut", "link": arguments.link}
    show(request(arguments.control, "POST", "/failures", wish))


def break_something(arguments: argparse.Namespace) -> None:
    wish = {**dict(arguments.details), "kind": arguments.kind}
    show(request(arguments.control, "POST", "/failures", wish))


def heal_failure(arguments: argparse.Namespace) -> None:
    path = "/failures"
    if arguments.failure is not None:
        path += "/" + quote(arguments.failure, safe="")
    request(arguments.control, "DELETE", path)


def show(document: Any) -> None:
    print(json.dumps(document, indent=2))
