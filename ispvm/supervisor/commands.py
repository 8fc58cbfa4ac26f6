"""The commands of `run.py`, behind the virtual environment."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ispvm.supervisor.check import check
from ispvm.supervisor.demo.runner import demo
from ispvm.supervisor.environment import connect_services, platform_environment
from ispvm.supervisor.errors import LaunchError, explain_os_error
from ispvm.supervisor.paths import PROJECT, Home, home_folder
from ispvm.supervisor.services import run_services
from ispvm.supervisor.testing import ensure_services

TEST_HELP = """usage: python3 run.py test [--long] [AREA ...] [pytest's own options and paths]

Runs the tests with their own PostgreSQL and Valkey (data in .ispvm/test).
  --long    run large test cases and kill matrices too
  AREA      a folder of tests, such as incidents, agent or supervisor
ISPVM_POSTGRES=pip or =system selects the PostgreSQL installation; DATABASE_URL and REDIS_URL select your own servers.
"""


def setup(_: list[str]) -> int:
    print("Ready. Next: python3 run.py demo")
    return 0


def manage(arguments: list[str]) -> int:
    """Django's command line with the database URLs of all roles in its environment."""
    home = Home(home_folder())
    urls, _lease = connect_services(home)
    environment = platform_environment(home, urls)
    return run_in_foreground([sys.executable, "manage.py", *arguments], environment)


def test(arguments: list[str]) -> int:
    if "--help" in arguments or "-h" in arguments:
        print(TEST_HELP, end="")
        return 0
    environment = {**os.environ, **ensure_services()}
    arguments = [f"tests/{a}" if is_test_area(a) else a for a in arguments]
    if "--long" in arguments:
        arguments = [argument for argument in arguments if argument != "--long"]
        environment["ISPVM_LONG"] = "1"
    if not any(a.startswith(("-n", "--numprocesses")) for a in arguments):
        arguments = ["-n", str(test_workers()), "--dist", "worksteal", *arguments]
    return run_in_foreground([sys.executable, "-m", "pytest", *arguments], environment)


def test_workers() -> int:
    """Half as many again as cores: many tests wait for a process, a browser or a timer."""
    return (len(os.sched_getaffinity(0)) * 3 + 1) // 2


def is_test_area(argument: str) -> bool:
    """Whether it names a folder of tests, not an option, a path or an option's value that is a path."""
    return argument.isidentifier() and (PROJECT / "tests" / argument).is_dir()


def run_in_foreground(command: list[str], environment: dict[str, str]) -> int:
    """Run in the foreground. Ctrl-C is handled by the command."""
    previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=PROJECT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509  # one thread
        )
        return child.wait()
    finally:
        signal.signal(signal.SIGINT, previous_handler)


def services_daemon(arguments: list[str]) -> int:
    """Internal: runs the embedded servers (see services.py)."""
    return run_services(Path(arguments[0]), durable="--not-durable" not in arguments)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "setup": setup,
    "check": check,
    "demo": demo,
    "manage": manage,
    "test": test,
    "services-daemon": services_daemon,
}


def main(arguments: list[str]) -> int:
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except LaunchError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(explain_os_error(error, home_folder()), file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 2
