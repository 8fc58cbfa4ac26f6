"""`run.py demo`: the whole platform on one machine, watching a simulated ISP."""

import argparse
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ispvm.supervisor.console import Console
from ispvm.supervisor.demo.faults import BACKEND, FLUSH, VALKEY, embedded_faults
from ispvm.supervisor.demo.kills import Killer
from ispvm.supervisor.demo.menu import Menu, listen
from ispvm.supervisor.demo.options import parse
from ispvm.supervisor.demo.surroundings import (
    Agent,
    DemoPlan,
    Identity,
    Ports,
    Surroundings,
    read_json,
)
from ispvm.supervisor.environment import connect_services, platform_environment, unprivileged
from ispvm.supervisor.errors import LaunchError
from ispvm.supervisor.paths import DEMO_LOCK, PROJECT, Home, home_folder
from ispvm.supervisor.platform import Platform, manage
from ispvm.supervisor.processes import ProcessSpec, Supervisor
from ispvm.supervisor.services import Services, without_services

WATCH_SECONDS = 1.0
OUTERMOST = 9  # the check is stopped first


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM: stop everything in order."""


def demo(arguments: list[str]) -> int:
    options = parse(arguments)
    home = Home(home_folder())
    with only_one_demo(home):
        if options.reset:
            erase(home)
        home.prepare()
        identity = Identity.resolve(home.root / "demo", seed=options.seed, port=options.port)
        surroundings = Surroundings(home.root / "demo", identity)
        surroundings.ports.require_free()
        console = Console(quiet=options.check and not options.verbose)
        supervisor = Supervisor(home.logs, console)
        try:
            with stopping_on_signals(supervisor):
                return Demo(home, surroundings, supervisor, console).play(options)
        except StopRequested:
            console.echo("Stopping ...")
            return 130
        finally:
            supervisor.close()


@contextmanager
def only_one_demo(home: Home) -> Iterator[None]:
    """Raises LaunchError if a demo runs on this data folder. The lock ends with the process."""
    home.prepare()
    with (home.root / DEMO_LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchError(f"A demo already runs on {home.root}; end it first.") from None
        yield


def erase(home: Home) -> None:
    with without_services(home):
        for entry in home.erase():
            print(f"Removed {entry}")


@contextmanager
def stopping_on_signals(supervisor: Supervisor) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops in order, the second one kills."""
    signals = 0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            supervisor.kill_all()
            os._exit(130)
        raise StopRequested

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if not signals:
            for number, handler in former.items():
                signal.signal(number, handler)


class Demo:
    """One run of the demo, from setup to checked stories or to pages for signing in."""

    def __init__(
        self, home: Home, surroundings: Surroundings, supervisor: Supervisor, console: Console
    ) -> None:
        self.home = home
        self.surroundings = surroundings
        self.supervisor = supervisor
        self.console = console
        self.services: Services | None = None
        self.agents: list[Agent] = []
        #: Processes that a story may stop for a while.
        self.stoppable: dict[str, ProcessSpec] = {}
        self.halted: set[str] = set()

    def play(self, options: argparse.Namespace) -> int:
        began = time.monotonic()
        plan = self.surroundings.prepare()
        self.console.echo(f"Demo with seed {plan.seed}; data in {self.home.root}")
        environment = self._environment(plan)
        platform = self._install(environment, plan)
        self._start_platform(platform)
        self._start_world(environment, plan)
        self.console.echo(f"All processes run after {time.monotonic() - began:.0f} s.")
        self._show_addresses(plan)
        if options.check:
            return self._check(environment, plan, options)
        self.console.echo("Ctrl-C stops the demo; its data is kept.")
        listen(Menu(plan.control_url, self.console.echo))
        while True:
            self._watch()

    def _environment(self, plan: DemoPlan) -> dict[str, str]:
        urls, self.services = connect_services(self.home)
        if self.services:
            running = self.services.running
            self.console.echo(
                f"PostgreSQL {running.postgres_version} ({running.postgres_source}) and Valkey run."
            )
        environment = platform_environment(self.home, urls)
        environment.update(
            ISPVM_PUBLIC_URL=plan.web_url,
            ISPVM_INGEST_URL=plan.ingest_url,
            ISPVM_EGRESS_ALLOW=f"127.0.0.1/32:{self.surroundings.ports.receiver}",
        )
        return environment

    def _install(self, environment: dict[str, str], plan: DemoPlan) -> Platform:
        self._run("migrate", environment, "migrate", "--database", "owner", "--no-input")
        static = ("collectstatic", "--no-input", "--verbosity", "0")
        self._run("static", unprivileged(environment), *static)
        certificates = self.home.secrets / "ingest"
        hosts = ("127.0.0.1", "localhost", plan.ingest_url.split("//")[1].split(":")[0])
        options = [word for host in hosts for word in ("--host", host)]
        self._run(
            *("certificate", self._signing(environment), "ingest_certificate"),
            *("--out", str(certificates), *options),
        )
        return Platform(
            environment,
            certificates,
            self.home.root / "metrics",
            self.surroundings.ports.web,
            self.surroundings.ports.ingest,
            self.surroundings.ports.metrics,
        )

    def _signing(self, environment: dict[str, str]) -> dict[str, str]:
        """The listener's first certificate is made before the signer runs."""
        return {
            **unprivileged(environment),
            "ISPVM_CA_KEY_FILE": environment["ISPVM_CA_KEY_FILE"],
        }

    def _start_platform(self, platform: Platform) -> None:
        processes = platform.processes()
        for process in processes:
            self.supervisor.start(process)
        self.supervisor.wait_ready(*(process.name for process in processes), seconds=90)

    def _start_world(self, environment: dict[str, str], plan: DemoPlan) -> None:
        self.supervisor.start(self.surroundings.simulator())
        self.supervisor.wait_ready("simulator")
        self._run(
            *("provision", unprivileged(environment), "demo_provision", "--seed", str(plan.seed)),
            *("--control", plan.control_url, "--out", str(self.surroundings.folder)),
        )
        receiver = self.surroundings.receiver(plan)
        self.stoppable[receiver.name] = receiver
        self.supervisor.start(receiver)
        self.supervisor.wait_ready("receiver")
        self.agents = self.surroundings.agents(plan)
        for agent in self.agents:
            if not agent.enrolled.exists():
                self._run_to_end(self.surroundings.enrollment(agent))
                agent.enrolled.touch()
            self.stoppable[agent.process_name] = self.surroundings.agent(agent)
            self.supervisor.start(self.stoppable[agent.process_name])

    def _run(self, name: str, environment: dict[str, str], *command: str) -> None:
        argv = manage(*command)
        self._run_to_end(ProcessSpec(name, argv, env=environment, cwd=PROJECT, restart=False))

    def _run_to_end(self, spec: ProcessSpec) -> None:
        """Run a step. Raises LaunchError if it fails, after printing its last lines."""
        code = self.supervisor.run(spec)
        if code != 0:
            if self.console.quiet:
                for line in self.supervisor.last_lines(spec.name):
                    self.console.echo(f"  {line}")
            log = self.home.logs / f"{spec.name}.log"
            raise LaunchError(f"The step '{spec.name}' failed with exit code {code}; see {log}.")

    def _show_addresses(self, plan: DemoPlan) -> None:
        ports: Ports = self.surroundings.ports
        self.console.echo(f"  pages      {plan.web_url}/")
        self.console.echo(
            f"  ingest     {plan.ingest_url} (agents only; listens on {ports.ingest})"
        )
        self.console.echo(f"  simulator  {plan.control_url}/truth")
        self.console.echo(
            f"  metrics    {plan.web_url}/metrics, ports {ports.metrics} to {ports.metrics + 4}"
        )
        self.console.echo(f"  logs       {self.home.logs}")
        credentials = Path(plan.credentials_file)
        if credentials.exists():
            for person in read_json(credentials):
                words = (person["email"], person["password"], person["role"])
                self.console.echo("  sign in    {}  {}  ({})".format(*words))

    def _check(
        self, environment: dict[str, str], plan: DemoPlan, options: argparse.Namespace
    ) -> int:
        command = (
            *("demo_check", "--seed", str(plan.seed), "--scenarios", options.scenarios),
            *("--control", plan.control_url, "--out", str(self.surroundings.folder)),
            *(("--disturbed",) if options.kills else ()),
            *(("--compare",) if options.compare else ()),
        )
        check = ProcessSpec(
            "check", manage(*command), env=unprivileged(environment), cwd=PROJECT, restart=False
        )
        killer = None
        if options.kills:
            self._require_embedded(options.kill_kinds)
            summary = f"{options.kills} times of {', '.join(options.kill_kinds)}"
            self.console.echo(f"Killing {summary}; order by seed {plan.seed}.")
            killer = Killer(
                self.supervisor,
                Path(plan.phase_file),
                count=options.kills,
                seed=plan.seed,
                echo=self.console.echo,
                kinds=options.kill_kinds,
                faults=embedded_faults(environment),
            )
            killer.start()
        self.console.always_show("check")
        self.supervisor.start(replace(check, stage=OUTERMOST))
        while (code := self.supervisor.exit_code("check")) is None:
            self._watch()
        if killer:
            code = self._print_kills(killer) or code
        self.console.echo(
            "The check passed." if code == 0 else f"The check failed (exit code {code})."
        )
        return code

    def _require_embedded(self, kinds: tuple[str, ...]) -> None:
        """Raises LaunchError for a server that others may use."""
        running = self.services.urls() if self.services else {}
        for kind, variable in (
            (BACKEND, "DATABASE_URL"),
            (VALKEY, "REDIS_URL"),
            (FLUSH, "REDIS_URL"),
        ):
            if kind in kinds and (variable not in running or os.environ.get(variable)):
                raise LaunchError(f"{kind} needs the embedded server, but {variable} is set.")

    def _print_kills(self, killer: Killer) -> int:
        missing = killer.finish()
        for kill in killer.kills:
            pid = f" (pid {kill.pid})" if kill.pid else ""
            self.console.echo(f"  killed at {kill.at_seconds:5.1f} s: {kill.name}{pid}")
        if missing:
            self.console.echo(f"{missing} planned kills did not happen during a scenario.")
        return 1 if missing else 0

    def _apply_halts(self) -> None:
        """Stop the processes that a story halts, and start them again afterwards."""
        wanted = self.surroundings.halted() & self.stoppable.keys()
        for name in sorted(wanted - self.halted):
            self.supervisor.kill(name)
            self.supervisor.stop(name)
        for name in sorted(self.halted - wanted):
            self.supervisor.start(self.stoppable[name])
        self.halted = wanted

    def _watch(self) -> None:
        """Restart embedded servers and halted processes. Raises LaunchError when a process failed for good."""
        time.sleep(WATCH_SECONDS)
        self._apply_halts()
        if self.services:
            self.services.revive()
        failed = self.supervisor.failed()
        if failed:
            raise LaunchError(failed[0])
