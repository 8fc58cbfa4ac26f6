"""The supervisor: starts processes, restarts those that die, and leaves none running.

One thread does all the work (forks, reads output, reaps, restarts), so that no locks are needed
and the parent-death signal of every child is tied to a thread that lives as long as the supervisor.
"""

import contextlib
import os
import queue
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Self, TypeVar

from ispvm.supervisor.child import (
    Child,
    ProcessSpec,
    State,
    describe_exit,
    kill_group,
)
from ispvm.supervisor.console import Console, LogFile
from ispvm.supervisor.errors import LaunchError

__all__ = ["Backoff", "ProcessSpec", "Supervisor"]

WATCHDOG = Path(__file__).with_name("watchdog.py")
TICK_SECONDS = 0.1
T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """Delay before a restart: doubles up to a limit, reset after ``settled_seconds``.

    ``tries``: the number of starts of a process that has never been ready.
    """

    first_seconds: float = 0.2
    longest_seconds: float = 10.0
    settled_seconds: float = 15.0
    tries: int = 8

    def delay(self, quick_deaths: int) -> float:
        return min(self.longest_seconds, self.first_seconds * 2.0 ** max(0, quick_deaths - 1))


class Supervisor:
    """Runs processes until it is closed. Usable as a context manager; safe from any thread."""

    def __init__(self, logs: Path, console: Console, backoff: Backoff | None = None) -> None:
        self.console = console
        self._logs = logs
        self._backoff = backoff or Backoff()
        self._children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake_up_read, self._wake_up_write = os.pipe()
        os.set_blocking(self._wake_up_read, False)
        self._selector.register(self._wake_up_read, selectors.EVENT_READ, None)
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WATCHDOG)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, spec: ProcessSpec) -> None:
        """Start a process; a name can be used again once its process has ended.

        Raises LaunchError if the program cannot be started at all.
        """
        self._call(lambda: self._start(spec))

    def wait_ready(self, *names: str, seconds: float = 60.0) -> None:
        """Wait until all named processes are ready. Raises LaunchError with their last output."""
        deadline = time.monotonic() + seconds
        for name in names:
            child = self._children[name]
            while not self.is_ready(name):
                if child.state in (State.FAILED, State.ENDED):
                    raise LaunchError(self._explain(child, "ended"))
                if time.monotonic() > deadline:
                    raise LaunchError(self._explain(child, f"was not ready after {seconds:.0f} s"))
                time.sleep(TICK_SECONDS)

    def is_ready(self, name: str) -> bool:
        """Whether the process runs and is ready."""
        child = self._children[name]
        is_ready = child.state is State.RUNNING and child.has_ready_line and child.spec.ready()
        child.has_been_ready = child.has_been_ready or is_ready
        return is_ready

    def run(self, spec: ProcessSpec) -> int:
        """Run a command to its end under supervision; returns its exit code."""
        self.start(spec)
        while (code := self.exit_code(spec.name)) is None:
            time.sleep(TICK_SECONDS / 2)
        return code

    def exit_code(self, name: str) -> int | None:
        """Exit code of a process without restart; None while it runs."""
        child = self._children[name]
        return child.exit_code if child.state is State.ENDED else None

    def last_lines(self, name: str) -> list[str]:
        return list(self._children[name].last_lines)

    def kill(self, name: str, number: Signals = SIGKILL) -> int | None:
        """Send a signal to a process, which is restarted as after any exit.

        Returns the process id; None if it was not running.
        """

        def kill() -> int | None:
            child = self._children[name]
            pid = child.pid
            if pid is not None:
                child.killed_on_purpose = True
                child.signal(number)
            return pid

        return self._call(kill)

    def pids(self) -> dict[str, int]:
        """Process ids of the running processes."""
        children = self._call(lambda: list(self._children.items()))
        return {name: child.pid for name, child in children if child.pid is not None}

    def failed(self) -> list[str]:
        """A sentence for each process that is not restarted any more."""
        children = self._call(lambda: list(self._children.values()))
        return [self._explain(c, "exited too often") for c in children if c.state is State.FAILED]

    def restarts(self, name: str) -> int:
        return self._children[name].restarts

    def stop(self, *names: str) -> None:
        """Stop the named processes; those that do not stop in time are killed."""
        children = [self._children[name] for name in names]

        def stop_them() -> None:
            for child in children:
                self._stop(child)

        self._call(stop_them)
        while any(child.state is State.STOPPING for child in children):
            time.sleep(TICK_SECONDS / 4)

    def stop_all(self) -> None:
        """Stop all processes, higher stages first."""
        children = self._call(lambda: list(self._children.values()))
        for stage in sorted({child.spec.stage for child in children}, reverse=True):
            self.stop(*(child.spec.name for child in children if child.spec.stage == stage))

    def kill_all(self) -> None:
        """Kill all processes without waiting. For signal handlers."""
        for child in list(self._children.values()):
            if child.pid is not None:
                kill_group(child.pid)

    def close(self) -> None:
        if self._closing:
            return
        self.stop_all()
        self._closing = True
        self._wake_up()
        self._thread.join()
        for child in self._children.values():
            child.log.close()
        if self._watchdog.stdin:
            self._watchdog.stdin.close()
        self._watchdog.wait()
        self._selector.close()
        os.close(self._wake_up_write)
        os.close(self._wake_up_read)

    def _explain(self, child: Child, problem: str) -> str:
        last_line = next((line for line in reversed(child.last_lines) if line.strip()), "")
        log = self._logs / f"{child.spec.name}.log"
        return f"{child.spec.name} {problem}; last line of {log}: {last_line.strip() or '(none)'}"

    def _wake_up(self) -> None:
        os.write(self._wake_up_write, b"!")

    def _call(self, function: Callable[[], T]) -> T:
        """Call the function in the supervisor's thread and return its result."""
        if threading.current_thread() is self._thread:
            return function()
        result: Future[T] = Future()

        def do() -> None:
            try:
                result.set_result(function())
            except BaseException as error:  # noqa: BLE001  # handed to the caller below
                result.set_exception(error)

        self._calls.put(do)
        self._wake_up()
        return result.result()

    def _work(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(TICK_SECONDS):
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_up_read, 4096)
                else:
                    self._read(key.data, key.fd)
            with contextlib.suppress(queue.Empty):
                while True:
                    self._calls.get_nowait()()
            for child in list(self._children.values()):
                self._check(child)

    def _start(self, spec: ProcessSpec) -> None:
        previous = self._children.get(spec.name)
        if previous is not None:
            if previous.state not in (State.ENDED, State.FAILED):
                raise LaunchError(f"{spec.name} is already running.")
            previous.log.close()
        child = Child(spec, LogFile(self._logs / f"{spec.name}.log"))
        self._children[spec.name] = child
        self._spawn(child)

    def _spawn(self, child: Child, now: float | None = None) -> None:
        """Start it. With ``now`` (a restart), retry later if no process can be created."""
        if not os.access(child.spec.argv[0], os.X_OK):
            child.state = State.FAILED
            raise LaunchError(f"{child.spec.argv[0]} is not an executable program.")
        try:
            popen = child.spawn()
        except OSError:
            if now is None:
                raise
            child.restart_at = now + self._backoff.longest_seconds
            return
        if popen.stdout is not None:
            self._update_watchdog(f"+{popen.pid} {int(child.spec.stop_signal)}")
            os.set_blocking(popen.stdout.fileno(), False)
            self._selector.register(popen.stdout, selectors.EVENT_READ, child)

    def _update_watchdog(self, line: str) -> None:
        if self._watchdog.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write(f"{line}\n".encode())

    def _read(self, child: Child, descriptor: int) -> bool:
        """Read available output; False if there is none or the pipe is closed."""
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return False
        if not data:
            # Closed, though the process may still run: unregister it, or the selector reports it continuously.
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            return False
        for line in child.take_output(data):
            self.console.line(child.spec.name, line)
        return True

    def _check(self, child: Child) -> None:
        now = time.monotonic()
        if child.state in (State.RUNNING, State.STOPPING):
            if child.popen is not None and child.popen.poll() is not None:
                self._reap(child, now)
            elif child.state is State.STOPPING and now > child.kill_at:
                child.kill_group()
        elif child.state is State.WAITING and now >= child.restart_at:
            child.restarts += 1
            # The program was removed: the child is marked as failed.
            with contextlib.suppress(LaunchError):
                self._spawn(child, now)

    def _reap(self, child: Child, now: float) -> None:
        """After the process has exited: read the rest of its output, kill its group, decide on a restart."""
        popen = child.popen
        if popen is None or popen.stdout is None:
            return
        child.kill_group()
        self._update_watchdog(f"-{popen.pid}")
        while self._read(child, popen.stdout.fileno()):
            continue
        with contextlib.suppress(KeyError):
            self._selector.unregister(popen.stdout)
        popen.stdout.close()
        child.exit_code = popen.returncode
        if child.state is State.STOPPING or not child.spec.restart:
            child.state = State.ENDED
            return
        uptime = now - child.started_at
        if child.killed_on_purpose or uptime > self._backoff.settled_seconds:
            child.quick_deaths = 0
            child.has_been_ready = True
        else:
            child.quick_deaths += 1
        name = child.spec.name
        # A process that was never ready is not restarted without limit: its configuration is wrong. One that was ready
        # is, because the cause may be temporary (a full volume, an unavailable database).
        if child.quick_deaths > self._backoff.tries and not child.has_been_ready:
            child.state = State.FAILED
            self.console.echo(self._explain(child, "exited too often"))
            return
        delay = self._backoff.delay(child.quick_deaths)
        child.restart_at = now + delay
        child.state = State.WAITING
        end = describe_exit(child.exit_code)
        self.console.line(name, f"ended ({end}) after {uptime:.1f} s; restarting in {delay:.1f} s")

    def _stop(self, child: Child) -> None:
        if child.state is State.WAITING:
            child.state = State.ENDED
        elif child.state is State.RUNNING:
            child.state = State.STOPPING
            child.kill_at = time.monotonic() + child.spec.stop_seconds
            child.signal(child.spec.stop_signal)
