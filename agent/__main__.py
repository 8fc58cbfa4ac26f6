"""`python -m agent`: enroll a host, run the agent, show its status."""

import argparse
import logging
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.errors import AgentError
from agent.logs import configure_logs
from agent.prometheus import loopback_address, serve_metrics
from agent.protocol.tokens import TokenInvalid, parse_token
from agent.runtime import Runtime
from agent.state import StateDir
from agent.transport.certificate import certificate_expiry
from agent.transport.enroll import enroll
from agent.version import VERSION

log = logging.getLogger("agent")

DESCRIPTION = """The ISPVisualMonitor agent: polls routers and probes targets at a point of presence,
and sends the results to the server. It only opens outgoing connections."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 success, 1 error (one sentence on stderr), 2 wrong usage."""
    options = _parser().parse_args(argv)
    configure_logs(as_json=options.log_format == "json", verbose=options.verbose)
    try:
        exit_code: int = options.command(options)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=VERSION)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--state-dir",
        type=Path,
        required=True,
        help="state folder of this agent: keys, config, buffer",
    )
    shared.add_argument(
        "--log-format",
        choices=("plain", "json"),
        default="plain",
        help="format of log lines; default: plain",
    )
    shared.add_argument("--verbose", action="store_true", help="log debug messages too")
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument(
        "--source-address",
        default="",
        help="local address of outgoing connections; default: chosen by the routing table",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    enroll_parser = commands.add_parser(
        "enroll",
        parents=[shared, source],
        help="enroll this host as an agent, with a token from the server",
        description="Enroll this host as an agent. A token works once and expires after ten minutes.",
    )
    token = enroll_parser.add_mutually_exclusive_group(required=True)
    token.add_argument(
        "--token", help="the enrollment token; other users of this host can see it while it runs"
    )
    token.add_argument("--token-file", type=Path, help="file that holds the enrollment token")
    enroll_parser.add_argument(
        "--replace",
        action="store_true",
        help="enroll again although the folder has an agent; its buffer moves to former-N/",
    )
    enroll_parser.set_defaults(command=_enroll)
    run_parser = commands.add_parser(
        "run",
        parents=[shared, source],
        help="run the agent until SIGTERM",
        description="Run the agent until SIGTERM.",
    )
    run_parser.add_argument(
        "--metrics",
        type=loopback_address,
        metavar="127.0.0.1:PORT",
        help="serve Prometheus metrics on this loopback address; default: off",
    )
    run_parser.set_defaults(command=_run)
    status_parser = commands.add_parser(
        "status",
        parents=[shared],
        help="show the status of the agent",
        description="Show the status of the agent.",
    )
    status_parser.set_defaults(command=_status)
    return parser


def _enroll(options: argparse.Namespace) -> int:
    try:
        text = options.token or options.token_file.read_text(encoding="ascii")
        token = parse_token(text)
    except OSError as error:
        raise AgentError(f"Cannot read {options.token_file}: {error.strerror}.") from error
    except (TokenInvalid, UnicodeDecodeError) as error:
        raise AgentError(str(error)) from error
    state = StateDir(options.state_dir)
    state.create()
    with state.lock():
        if state.is_enrolled() and not options.replace:
            raise AgentError(
                f"{state.folder} has an enrolled agent; choose another folder, or add --replace."
            )
        enrollment = enroll(
            state, token, options.source_address, lambda: _archive_former_agent(state)
        )
    print(f"Enrolled as agent {enrollment.agent_id} of {enrollment.url}.")
    return 0


def _archive_former_agent(state: StateDir) -> None:
    """Batches of the former agent must not be sent under the new agent's identity."""
    if not state.is_enrolled():
        return
    number = 1
    while (archive := state.folder / f"former-{number}").exists():
        number += 1
    archive.mkdir(mode=0o700)
    for path in (state.buffer, *state.folder.glob("*.json")):
        if path.exists():
            shutil.move(path, archive / path.name)


def _run(options: argparse.Namespace) -> int:
    state = StateDir(options.state_dir)
    state.enrollment()
    with state.lock():
        runtime = Runtime(state, options.source_address)
        if options.metrics:
            serve_metrics(options.metrics, runtime.metrics)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runtime.stop.set())
        runtime.run()
    return 0


def _status(options: argparse.Namespace) -> int:
    state = StateDir(options.state_dir)
    enrollment = state.enrollment()
    print(f"server       {enrollment.url}\nagent        {enrollment.agent_id}")
    print(f"certificate  until {certificate_expiry(state)}")
    status = state.status()
    if not status:
        print("The agent has not run yet.")
        return 0
    for name, value in status.items():
        if name != "devices":
            print(f"{name:<20} {value}")
    for row in status["devices"]:
        print(f"device {row['name']:<24} {row['state']:<10} {row['message']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
