"""Threads that hang are noticed, their process ends, and whoever started it starts another."""

import http.client
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from django.conf import settings
from structlog.testing import capture_logs

from apps.core import liveness
from apps.core.liveness import Liveness
from apps.core.watched_wsgi import WatchedApplication
from apps.events import task_metrics
from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.ports import is_free
from tests.supervisor.waiting import eventually


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class TestLiveness:
    def test_what_ended_in_time_does_not_hang(self):
        clock = Clock()
        alive = Liveness(clock)

        with alive.working("GET /", within=5):
            clock.now += 4
            assert alive.hung() == []
        clock.now += 4

        assert alive.hung() == []

    def test_what_takes_too_long_hangs_until_it_ends(self):
        clock = Clock()
        alive = Liveness(clock)
        number = alive.start("GET /devices/", within=5)
        alive.start("GET /", within=50)

        clock.now += 5

        assert [work.what for work in alive.hung()] == ["GET /devices/"]
        alive.finish(number)
        assert alive.hung() == []

    def test_waiting_for_a_client_takes_none_of_its_time(self):
        clock = Clock()
        alive = Liveness(clock)
        with alive.working("POST /", within=5) as number:
            clock.now += 3
            with alive.waiting(number):
                clock.now += 500
                assert alive.hung() == []
            clock.now += 1
            assert alive.hung() == []
            clock.now += 1
            assert [work.what for work in alive.hung()] == ["POST /"]

        with alive.waiting(number):
            pass
        assert alive.hung() == [], "what has ended does not come back"

    def test_an_error_ends_it_too(self):
        alive = Liveness(Clock())

        with pytest.raises(ValueError, match="no"), alive.working("x", within=0):
            raise ValueError("no")

        assert alive.hung() == []

    def test_a_request_has_more_time_than_the_database_gives_a_statement(self):
        from ispvm.supervisor.postgres import STATEMENT_SECONDS

        assert liveness.HUNG_AFTER_SECONDS >= 2 * STATEMENT_SECONDS
        assert liveness.HUNG_AFTER_SECONDS > 2 * settings.CELERY_TASK_TIME_LIMIT

    def test_a_fork_begins_with_nothing(self):
        number = liveness.process.start("GET /", within=-1)
        child = os.fork()
        if child == 0:
            os._exit(len(liveness.process.hung()))
        liveness.process.finish(number)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class TestWatchdog:
    def test_says_where_the_thread_hangs_and_ends_the_process(self, monkeypatch):
        monkeypatch.setattr(liveness, "process", Liveness())
        let_go, ended = threading.Event(), threading.Event()

        def hang_here() -> None:
            with liveness.process.working("GET /devices/", within=0):
                let_go.wait()

        hanging = threading.Thread(target=hang_here)
        hanging.start()
        with capture_logs() as logs:
            watchdog = liveness.watch(ended.set)
            assert ended.wait(20)
            watchdog.join()
        let_go.set()
        hanging.join()

        (line,) = logs
        assert (line["event"], line["what"]) == ("thread_hung", "GET /devices/")
        assert "hang_here" in line["stack"]


class TestWatchedApplication:
    @pytest.fixture
    def alive(self, monkeypatch) -> Liveness:
        monkeypatch.setattr(liveness, "HUNG_AFTER_SECONDS", 0.0)
        fresh_liveness = Liveness()
        monkeypatch.setattr(liveness, "process", fresh_liveness)
        return fresh_liveness

    ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}

    def test_a_request_counts_while_the_application_works(self, alive):
        observed = []
        app = WatchedApplication(lambda *_: observed.extend(alive.hung()) or [b"ok"])

        assert list(app(self.ENVIRON, None)) == [b"ok"]

        assert [work.what for work in observed] == ["GET /x"]
        assert alive.hung() == []

    @pytest.mark.parametrize(
        ("read", "expected"),
        [
            (lambda body: body.read(), b"one\ntwo\n"),
            (lambda body: body.read(2), b"on"),
            (lambda body: body.readline(), b"one\n"),
            (lambda body: body.readline(2), b"on"),
            (lambda body: body.readlines(), [b"one\n", b"two\n"]),
            (list, [b"one\n", b"two\n"]),
        ],
        ids=["read", "part", "line", "part of a line", "lines", "iteration"],
    )
    def test_a_slow_body_holds_nobody_up(self, alive, read, expected):
        during, got = [], []

        class SlowBody(io.BytesIO):
            def read(self, *size):
                during.append(len(alive.hung()))
                return super().read(*size)

            def readline(self, *size):
                during.append(len(alive.hung()))
                return super().readline(*size)

            def readlines(self, *hint):
                during.append(len(alive.hung()))
                return super().readlines(*hint)

        def respond(environ, _):
            got.append(read(environ["wsgi.input"]))
            return [b"ok"]

        environ = {**self.ENVIRON, "wsgi.input": SlowBody(b"one\ntwo\n")}
        WatchedApplication(respond)(environ, None)

        assert got == [expected]
        assert set(during) == {0}
        assert alive.hung() == []

    def test_after_the_body_the_application_counts_again(self, monkeypatch):
        clock = Clock()
        alive = Liveness(clock)
        monkeypatch.setattr(liveness, "process", alive)
        observed = []

        def respond(environ, _):
            environ["wsgi.input"].read()
            clock.now += liveness.HUNG_AFTER_SECONDS
            observed.extend(alive.hung())
            return [b"ok"]

        WatchedApplication(respond)({**self.ENVIRON, "wsgi.input": io.BytesIO()}, None)

        assert [work.what for work in observed] == ["GET /x"]

    def test_a_stream_counts_while_it_makes_a_part_and_not_while_the_client_reads(self, alive):
        class Stream:
            streaming = True
            is_closed = False

            def __iter__(self):
                yield str(len(alive.hung())).encode()

            def close(self):
                Stream.is_closed = True

        response: Any = WatchedApplication(lambda *_: Stream())(self.ENVIRON, None)

        for part in response:
            assert part == b"1"
            assert alive.hung() == []
        response.close()
        assert Stream.is_closed


def test_a_task_that_runs_twice_at_once_leaves_nothing_behind(monkeypatch):
    """The broker delivers a task again that it takes for lost, and to the same worker too."""
    clock = Clock()
    alive = Liveness(clock)
    monkeypatch.setattr(liveness, "process", alive)
    task = SimpleNamespace(name="twice")
    both_began = threading.Barrier(2)

    def run() -> None:
        task_metrics._begin("one-id", task)
        both_began.wait(20)
        task_metrics._end("one-id", task, "SUCCESS")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += 2 * liveness.HUNG_AFTER_SECONDS

    assert alive.hung() == []
    assert not [key for key in task_metrics._started if "one-id" in key]


def test_livez_says_that_a_thread_hangs(client, monkeypatch):
    monkeypatch.setattr(liveness, "process", Liveness())
    assert client.get("/livez").status_code == 200
    liveness.process.start("GET /devices/", within=-1)

    answer = client.get("/livez")

    assert (answer.status_code, answer.json()) == (503, {"status": "1 threads hang"})


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=PROJECT, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def get(port: int, path: str, *, seconds: float = 5) -> bytes | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.mark.real
def test_a_gunicorn_worker_whose_threads_hang_is_replaced(record_property):
    port = next(port for port in range(22_000, 22_900) if is_free(port))
    command = [
        *("gunicorn", "-c", "python:tests.core.hanging", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "1", "--threads", "2", "--timeout", "600"),
        *("--graceful-timeout", "1", "tests.core.hanging:application"),
    ]
    with running(*command):
        eventually(lambda: get(port, "/pid"), seconds=60)
        first = get(port, "/pid")

        for _ in range(2):
            get(port, "/hang", seconds=0.2)

        eventually(lambda: get(port, "/pid") not in (None, first), seconds=60)


@pytest.mark.real
def test_a_task_whose_thread_hangs_is_done_by_another_worker(tmp_path: Path):
    """Celery has no time limit for the pool of threads that delivers webhooks."""
    broker = settings.ISPVM_REDIS_URL.rsplit("/", 1)[0] + "/63"
    sender = Celery("sender", broker=broker, set_as_current=False)
    command = [
        *("celery", "-A", "tests.core.hanging", "worker", "-Q", "hanging"),
        *("--pool", "threads", "--concurrency", "1", "--without-gossip", "--without-mingle"),
    ]
    with running(*command, HANGING_BROKER=broker) as worker:
        sender.send_task("hanging.hang_once", args=[str(tmp_path)], queue="hanging")
        eventually((tmp_path / "first").exists, seconds=90)
        assert worker.wait(60) == liveness.EXIT_CODE

    with running(*command, HANGING_BROKER=broker):
        eventually((tmp_path / "second").exists, seconds=90)
    sender.close()
