import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ispvm.supervisor import console
from ispvm.supervisor.child import Child
from ispvm.supervisor.console import Console, LogFile
from ispvm.supervisor.errors import LaunchError
from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.processes import Backoff, ProcessSpec, Supervisor
from tests.supervisor.waiting import HANG_SECONDS, eventually, is_running

SLEEPER = "import time; time.sleep(600)"
# A server with a worker of its own: the worker writes its pid, then both wait.
WITH_WORKER = """
import pathlib, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(worker.pid))
time.sleep(600)
"""


def python(tmp_path: Path, name: str, code: str, *arguments: str, **more) -> ProcessSpec:
    argv = (sys.executable, "-c", code, *arguments)
    return ProcessSpec(name, argv, env=dict(os.environ), cwd=tmp_path, **more)


@pytest.fixture
def supervisor(tmp_path):
    backoff = Backoff(first_seconds=0.05, longest_seconds=0.2, settled_seconds=5, tries=3)
    with Supervisor(tmp_path, Console(quiet=True), backoff) as running_supervisor:
        yield running_supervisor


@pytest.fixture
def worker_pid(tmp_path):
    """Answers the worker's pid that WITH_WORKER wrote; waits for it."""
    file = tmp_path / "worker.pid"

    def read() -> int:
        eventually(lambda: file.exists() and file.read_text())
        return int(file.read_text())

    return read


class TestSupervisor:
    def test_restarts_a_process_that_was_killed(self, supervisor, tmp_path):
        supervisor.start(python(tmp_path, "sleeper", SLEEPER))
        first = supervisor.pids()["sleeper"]

        killed = supervisor.kill("sleeper")

        assert killed == first
        eventually(lambda: supervisor.pids().get("sleeper") not in (None, first))
        assert not is_running(first)
        assert supervisor.restarts("sleeper") == 1

    def test_gives_up_on_a_process_that_keeps_dying_and_shows_its_output(
        self, supervisor, tmp_path
    ):
        supervisor.start(
            python(tmp_path, "broken", "print('no config found'); raise SystemExit(3)")
        )

        eventually(supervisor.failed)

        assert supervisor.restarts("broken") == 3
        assert "no config found" in supervisor.failed()[0]
        assert "broken.log" in supervisor.failed()[0]

    def test_a_process_that_was_ready_is_restarted_without_limit(self, supervisor, tmp_path):
        """A database on a full volume dies at each start until there is room."""
        full = tmp_path / "full"
        code = (
            f"import os, sys, time; os.path.exists({str(full)!r}) and sys.exit(1); time.sleep(600)"
        )
        supervisor.start(python(tmp_path, "database", code))
        supervisor.wait_ready("database")

        full.touch()
        supervisor.kill("database")
        eventually(lambda: supervisor.restarts("database") > 2 * 3)

        assert supervisor.failed() == []
        full.unlink()
        eventually(lambda: "database" in supervisor.pids())
        pid = supervisor.pids()["database"]
        eventually(lambda: supervisor.pids().get("database") == pid)

    def test_a_failed_fork_is_retried(self, supervisor, tmp_path, monkeypatch):
        supervisor.start(python(tmp_path, "sleeper", SLEEPER))
        first = supervisor.pids()["sleeper"]
        spawn, refusals = Child.spawn, iter(range(2))

        def short_of_memory(child):
            for _ in refusals:
                raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
            return spawn(child)

        monkeypatch.setattr(Child, "spawn", short_of_memory)
        supervisor.kill("sleeper")

        eventually(lambda: supervisor.pids().get("sleeper") not in (None, first))

    def test_kills_the_workers_of_a_dead_master(self, supervisor, tmp_path, worker_pid):
        file = str(tmp_path / "worker.pid")
        supervisor.start(python(tmp_path, "master", WITH_WORKER, file))
        orphan = worker_pid()
        (tmp_path / "worker.pid").unlink()

        supervisor.kill("master")

        eventually(lambda: not is_running(orphan))
        assert worker_pid() != orphan

    def test_kills_a_process_that_does_not_listen(self, supervisor, tmp_path):
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
        supervisor.start(python(tmp_path, "deaf", deaf, ready_line="deaf", stop_seconds=0.3))
        supervisor.wait_ready("deaf")
        pid = supervisor.pids()["deaf"]

        supervisor.stop("deaf")

        assert not is_running(pid)
        assert supervisor.pids() == {}

    def test_stops_higher_stages_first(self, supervisor, tmp_path):
        told = tmp_path / "told"
        teller = (
            "import pathlib, signal, sys, time\n"
            "def stop(*_):\n"
            "    with pathlib.Path(sys.argv[1]).open('a') as f: f.write(sys.argv[2])\n"
            "    sys.exit()\n"
            "signal.signal(15, stop); print('up', flush=True); time.sleep(600)\n"
        )
        for name, stage in (("inner", 1), ("outer", 3), ("middle", 2)):
            supervisor.start(
                python(tmp_path, name, teller, str(told), f"{name} ", ready_line="up", stage=stage)
            )
        supervisor.wait_ready("inner", "outer", "middle")

        supervisor.stop_all()

        assert told.read_text().split() == ["outer", "middle", "inner"]

    def test_waits_until_a_process_says_that_it_is_ready(self, supervisor, tmp_path):
        slow = "import time; time.sleep(0.5); print('serving now', flush=True); time.sleep(600)"
        supervisor.start(python(tmp_path, "slow", slow, ready_line=r"serving \w+"))

        supervisor.wait_ready("slow", seconds=HANG_SECONDS)

        assert "serving now" in (tmp_path / "slow.log").read_text()

    def test_shows_the_output_of_a_process_that_does_not_get_ready(self, supervisor, tmp_path):
        mute = "print('still loading', flush=True); import time; time.sleep(600)"
        supervisor.start(python(tmp_path, "mute", mute, ready_line="never"))
        eventually(lambda: "still loading" in (tmp_path / "mute.log").read_text())

        with pytest.raises(LaunchError, match=r"mute was not ready after 1 s; .*still loading"):
            supervisor.wait_ready("mute", seconds=1)

    def test_answers_the_exit_code_of_a_command(self, supervisor, tmp_path):
        spec = python(tmp_path, "step", "raise SystemExit(7)", restart=False)

        assert supervisor.run(spec) == 7

    def test_refuses_a_program_that_is_not_there(self, supervisor, tmp_path):
        spec = ProcessSpec("ghost", ("/nonexistent/program",), env={}, cwd=tmp_path)

        with pytest.raises(LaunchError, match="/nonexistent/program"):
            supervisor.start(spec)

    def test_keeps_all_output_in_the_log(self, supervisor, tmp_path):
        code = "import sys; print('x' * 100_000); print('fault', file=sys.stderr)"

        supervisor.run(python(tmp_path, "talker", code, restart=False))

        log = (tmp_path / "talker.log").read_text()
        assert len(log) == 100_000 + len("\nfault\n")
        assert "fault" in log

    def test_survives_a_process_that_closes_its_output(self, supervisor, tmp_path):
        closer = "import os, time; os.close(1); os.close(2); time.sleep(600)"
        supervisor.start(python(tmp_path, "closer", closer))
        supervisor.start(python(tmp_path, "other", "print('up'); import time; time.sleep(600)"))
        spent = time.thread_time()

        eventually(lambda: len(supervisor.pids()) == 2)

        assert time.thread_time() - spent < 5

    def test_leaves_nothing_behind_when_it_is_killed_itself(self, tmp_path, worker_pid):
        program = f"""
import os, sys, time
from pathlib import Path
from ispvm.supervisor.console import Console
from ispvm.supervisor.processes import ProcessSpec, Supervisor
folder = Path({str(tmp_path)!r})
supervisor = Supervisor(folder, Console(quiet=True))
argv = (sys.executable, "-c", {WITH_WORKER!r}, str(folder / "worker.pid"))
supervisor.start(ProcessSpec("master", argv, env=dict(os.environ), cwd=folder))
(folder / "master.pid").write_text(str(supervisor.pids()["master"]))
time.sleep(600)
"""
        launcher = subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT)
        worker = worker_pid()
        eventually((tmp_path / "master.pid").exists)
        master = int((tmp_path / "master.pid").read_text())
        assert is_running(master)

        launcher.send_signal(signal.SIGKILL)
        launcher.wait()

        eventually(lambda: not is_running(master))
        eventually(lambda: not is_running(worker))


class TestBackoff:
    def test_doubles_up_to_its_longest(self):
        backoff = Backoff(first_seconds=1, longest_seconds=5)

        delays = [backoff.delay(deaths) for deaths in range(5)]

        assert delays == [1, 1, 2, 4, 5]


def test_a_log_that_could_not_be_opened_anew_goes_on_when_there_is_room(tmp_path, monkeypatch):
    """On a full volume a log that has grown too long is closed and no new one can be made."""
    log = LogFile(tmp_path / "web.log")
    monkeypatch.setattr(console, "LARGEST_LOG", 3)
    log.write(b"long enough\n")
    is_full = [True]
    opened = LogFile._open

    def open_log(self):
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(self)

    monkeypatch.setattr(LogFile, "_open", open_log)
    log.write(b"lost\n")
    log.write(b"lost too\n")
    is_full.clear()
    log.write(b"back\n")
    log.close()

    assert (tmp_path / "web.log").read_bytes() == b"back\n"
