"""`python -m agent`: enroll a host, run the agent, see how it is."""

import argparse
import logging
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.errors import AgentError
from agent.logs import configure_logs
from agent.numbers import loopback_address, tell_metrics
from agent.protocol.tokens import TokenInvalid, parse_token
from agent.runtime import Runtime
from agent.state import StateDir
from agent.transport.certificate import certificate_end
from agent.transport.enroll import enroll
from agent.version import VERSION

log = logging.getLogger("agent")

ABOUT = """The ISPVisualMonitor agent: polls routers and probes targets at a point of presence,
and hands what it finds to the server. It opens connections and takes none."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 an error that its one sentence explains, 2 wrong usage."""
    asked = _parser().parse_args(argv)
    configure_logs(as_json=asked.log_format == "json", verbose=asked.verbose)
    try:
        result: int = asked.command(asked)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent", description=ABOUT)
    parser.add_argument("--version", action="version", version=VERSION)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--state-dir", type=Path, required=True, help="folder of this agent: keys, config, buffer"
    )
    shared.add_argument(
        "--log-format", choices=("plain", "json"), default="plain", help="how log lines look"
    )
    shared.add_argument("--verbose", action="store_true", help="log more")
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument(
        "--source-address",
        default="",
        help="local address to speak from, on hosts with several; default: as the system routes",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    joining = commands.add_parser(
        "enroll",
        parents=[shared, source],
        help="make this host an agent, with a token from the server",
        description="Make this host an agent. The token works once, within ten minutes.",
    )
    token = joining.add_mutually_exclusive_group(required=True)
    token.add_argument("--token", help="the token; visible to others on this host while it runs")
    token.add_argument("--token-file", type=Path, help="a file that holds the token")
    joining.add_argument(
        "--replace",
        action="store_true",
        help="become another agent although this folder has one; what it still buffers is set aside",
    )
    joining.set_defaults(command=_enroll)
    running = commands.add_parser(
        "run", parents=[shared, source], help="work until SIGTERM", description="Run the agent."
    )
    running.add_argument(
        "--metrics",
        type=loopback_address,
        metavar="127.0.0.1:PORT",
        help="answer GET /metrics there, to this machine only; default: no port",
    )
    running.set_defaults(command=_run)
    asking = commands.add_parser(
        "status", parents=[shared], help="how the agent is", description="Show how the agent is."
    )
    asking.set_defaults(command=_status)
    return parser


def _enroll(asked: argparse.Namespace) -> int:
    try:
        text = asked.token or asked.token_file.read_text(encoding="ascii")
        token = parse_token(text)
    except OSError as error:
        raise AgentError(f"Cannot read {asked.token_file}: {error.strerror}.") from error
    except (TokenInvalid, UnicodeDecodeError) as error:
        raise AgentError(str(error)) from error
    state = StateDir(asked.state_dir)
    state.create()
    with state.lock():
        if state.is_enrolled() and not asked.replace:
            raise AgentError(
                f"{state.folder} is an agent already; choose another folder, or add --replace."
            )
        membership = enroll(state, token, asked.source_address, lambda: _set_aside(state))
    print(f"Enrolled as agent {membership.agent_id} of {membership.url}.")
    return 0


def _set_aside(state: StateDir) -> None:
    """Another agent's batches must not go out under a new name."""
    if not state.is_enrolled():
        return
    number = 1
    while (aside := state.folder / f"former-{number}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for path in (state.buffer, *state.folder.glob("*.json")):
        if path.exists():
            shutil.move(path, aside / path.name)


def _run(asked: argparse.Namespace) -> int:
    state = StateDir(asked.state_dir)
    state.membership()
    with state.lock():
        runtime = Runtime(state, asked.source_address)
        if asked.metrics:
            tell_metrics(asked.metrics, runtime.numbers)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runtime.stop.set())
        runtime.run()
    return 0


def _status(asked: argparse.Namespace) -> int:
    state = StateDir(asked.state_dir)
    membership = state.membership()
    print(f"server       {membership.url}\nagent        {membership.agent_id}")
    print(f"certificate  until {certificate_end(state)}")
    status = state.status()
    if not status:
        print("It has not run yet.")
        return 0
    for name, value in status.items():
        if name != "devices":
            print(f"{name:<20} {value}")
    for row in status["devices"]:
        print(f"device {row['name']:<24} {row['state']:<10} {row['said']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
