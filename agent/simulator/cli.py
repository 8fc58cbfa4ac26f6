"""The command line: `serve` runs the simulated ISP, all other commands control a running one."""

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
from agent.simulator.connections import PortInUse
from agent.simulator.failures import KINDS
from agent.simulator.failures.base import CONFIG_CHANGE
from agent.simulator.generator import ROUTERS
from agent.simulator.routeros.version import DEFAULT_V6
from agent.simulator.serve import Address, ServeOptions, serve
from agent.simulator.state import StateError

MAX_PORT = 65_535
MAX_SEED = 2**63 - 1
PLAIN_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
KIND_HELP = "one of " + ", ".join((*KINDS, CONFIG_CHANGE))
DEFAULT_CONTROL = "127.0.0.1:8002"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 success, 1 error (one sentence on stderr), 2 wrong usage (by argparse)."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    arguments = parser().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], None] = arguments.run
        run(arguments)
    except (ControlError, PortInUse, StateError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The state folder cannot be used: {error.strerror}.", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m agent.simulator", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands.add_parser("serve", help="run the simulated ISP"))
    documents = (
        ("topology", "show sites, routers, links and services"),
        ("truth", "show the true state of everything"),
        ("links", "show the links with their state"),
    )
    for name, explanation in documents:
        command = add_client(commands.add_parser(name, help=explanation))
        command.set_defaults(run=show_document, path=f"/{name}")
    cut = add_client(commands.add_parser("cut", help="cut a link"))
    cut.add_argument("link", help="id of the link, see `links`")
    cut.set_defaults(run=cut_link)
    inject = add_client(
        commands.add_parser("break", help="inject a failure or a configuration change")
    )
    inject.add_argument("kind", choices=[*KINDS, CONFIG_CHANGE], metavar="KIND", help=KIND_HELP)
    inject.add_argument(
        "details",
        nargs="*",
        type=detail,
        metavar="NAME=VALUE",
        help="fields of the failure",
    )
    inject.set_defaults(run=inject_failure)
    heal = add_client(commands.add_parser("heal", help="repair one failure or all of them"))
    heal.add_argument("failure", nargs="?", help="id of the failure; default: all")
    heal.set_defaults(run=heal_failure)
    return root


def add_serve(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=seed, required=True, help="seed of names and numbers")
    command.add_argument(
        "--state-dir", type=Path, required=True, help="folder of failures and history"
    )
    command.add_argument("--control", type=address, required=True, metavar="HOST:PORT")
    command.add_argument("--relay-listen", type=address, required=True, metavar="HOST:PORT")
    command.add_argument("--relay-to", type=address, required=True, metavar="HOST:PORT")
    command.add_argument("--api-port", type=port, default=8728, help="API port of every router")
    command.add_argument(
        "--api-ssl-port", type=port, help="TLS API port of every router; default: off"
    )
    command.add_argument(
        "--echo-port", type=port, default=7007, help="UDP echo port of every router"
    )
    command.add_argument(
        "--v6", type=names, default=DEFAULT_V6, metavar="NAMES", help="routers that run RouterOS 6"
    )
    command.set_defaults(run=run_server)


def add_client(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument(
        "--control", type=address, default=address(DEFAULT_CONTROL), metavar="HOST:PORT"
    )
    return command


def address(text: str) -> Address:
    """Parse HOST:PORT; only loopback addresses are accepted."""
    host, _, number = text.rpartition(":")
    try:
        is_loopback = ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT with a loopback IPv4 address")
    return host, port(number)


def port(text: str) -> int:
    return whole_number(text, maximum=MAX_PORT)


def seed(text: str) -> int:
    return whole_number(text, maximum=MAX_SEED)


def names(text: str) -> tuple[str, ...]:
    """Parse router names separated by commas; empty for none."""
    routers = tuple(name for name in text.split(",") if name)
    unknown = set(routers) - {name for name, _, _ in ROUTERS}
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown router {', '.join(sorted(unknown))}")
    return routers


def detail(text: str) -> tuple[str, str | float]:
    """`link=cr1-cr2`, `ms=120`."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, float(value) if PLAIN_NUMBER.fullmatch(value) else value


def whole_number(text: str, *, maximum: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(maximum))):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    if int(text) > maximum:
        raise argparse.ArgumentTypeError(f"{text} is more than {maximum}")
    return int(text)


def run_server(arguments: argparse.Namespace) -> None:
    options = ServeOptions(
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
    asyncio.run(serve(options))


def show_document(arguments: argparse.Namespace) -> None:
    show(request(arguments.control, "GET", arguments.path))


def cut_link(arguments: argparse.Namespace) -> None:
    spec = {"kind": "link_cut", "link": arguments.link}
    show(request(arguments.control, "POST", "/failures", spec))


def inject_failure(arguments: argparse.Namespace) -> None:
    spec = {**dict(arguments.details), "kind": arguments.kind}
    show(request(arguments.control, "POST", "/failures", spec))


def heal_failure(arguments: argparse.Namespace) -> None:
    path = "/failures"
    if arguments.failure is not None:
        path += "/" + quote(arguments.failure, safe="")
    request(arguments.control, "DELETE", path)


def show(document: Any) -> None:
    print(json.dumps(document, indent=2))
