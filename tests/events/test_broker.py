"""A broker that answers reads and refuses writes: it is reported, and the platform recovers without a restart."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, current_app

from apps.core import clock
from apps.events import backlog, jobs
from apps.events.gauges import read_gauges
from apps.events.models import Due
from apps.events.outbox import DISPATCH
from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.ports import is_free
from ispvm.supervisor.programs import find_valkey
from tests.database import url_of_this_test
from tests.supervisor.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


@dataclass
class Broker:
    url: str
    client: "redis.Redis[Any]"
    folder: Path

    def refuses(self) -> bool:
        try:
            self.client.set("probe", "1")
        except redis.ResponseError:
            return True
        return False


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ispvm-broker-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def start(folder: Path) -> Iterator[Broker]:
    port = next(port for port in range(23_000, 23_900) if is_free(port))
    server = subprocess.Popen(
        [
            *(str(find_valkey()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction"),
        ],
        stdout=subprocess.DEVNULL,
    )
    client: redis.Redis[Any] = redis.Redis(port=port, socket_timeout=5)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    try:
        eventually(answers)
        yield Broker(f"redis://127.0.0.1:{port}/0", client, folder)
    finally:
        client.close()
        server.kill()
        server.wait()


@pytest.fixture
def broker(folder) -> Iterator[Broker]:
    yield from start(folder)


@pytest.fixture
def platform(broker, settings, monkeypatch) -> None:
    """Configure this process to use the broker."""
    settings.ISPVM_REDIS_URL = broker.url
    backlog._broker.cache_clear()
    app = Celery("other", broker=broker.url, set_as_current=False)
    app.conf.broker_transport_options = current_app.conf.broker_transport_options
    monkeypatch.setattr(current_app._get_current_object(), "send_task", app.send_task)
    yield
    app.close()
    backlog._broker.cache_clear()


def test_the_gauge_shows_a_broker_that_refuses_writes(broker, platform):
    assert read_gauges(clock.now())["ispvm_broker_up",] == 1
    broker.client.config_set("maxmemory", "1")
    assert broker.refuses()

    values = read_gauges(clock.now())

    assert (values["ispvm_broker_up",], values["ispvm_broker_readable",]) == (0, 1)
    broker.client.config_set("maxmemory", "0")
    assert read_gauges(clock.now())["ispvm_broker_up",] == 1


def test_a_task_that_cannot_be_sent_raises_nothing(broker, platform):
    assert jobs.send(DISPATCH, tenant_id="x")
    broker.client.config_set("maxmemory", "1")

    assert not jobs.send(DISPATCH, tenant_id="x")

    broker.client.config_set("maxmemory", "0")
    assert jobs.send(DISPATCH, tenant_id="x")


@dataclass
class Worker:
    process: "subprocess.Popen[bytes]"
    broker: Broker
    tenant_id: Any

    def works(self) -> bool:
        """Whether it runs a task that is sent now."""
        Due.objects.update_or_create(
            kind=DISPATCH,
            ref="",
            tenant_id=self.tenant_id,
            defaults={"next_due_at": clock.now() - timedelta(seconds=1)},
        )
        app = Celery("sender", broker=self.broker.url, set_as_current=False)
        try:
            app.send_task("events.run_due", queue="upkeep", retry=False)
        except Exception:
            return False
        finally:
            app.close()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if Due.objects.get(kind=DISPATCH, tenant_id=self.tenant_id).next_due_at > clock.now():
                return True
            time.sleep(0.1)
        return False


@pytest.fixture
def worker(acme, tmp_path) -> Iterator[Callable[[Broker], Worker]]:
    started: list[subprocess.Popen[bytes]] = []

    def make(broker: Broker) -> Worker:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PROMETHEUS_"))
        }
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "ispvm", "worker", "-Q", "upkeep"),
                *("--concurrency", "1", "--without-gossip", "--without-mingle"),
            ],
            cwd=PROJECT,
            env={
                **inherited,
                "DATABASE_URL": url_of_this_test(),
                "REDIS_URL": broker.url,
                "ISPVM_HOME": str(tmp_path),
            },
        )
        started.append(process)
        running = Worker(process, broker, acme.id)
        eventually(running.works, seconds=180)
        return running

    yield make
    for process in started:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_worker_recovers_after_the_broker_was_out_of_memory(broker, worker, record_property):
    running = worker(broker)
    broker.client.config_set("maxmemory", "1")
    assert broker.refuses()
    assert not running.works()

    broker.client.config_set("maxmemory", "0")
    freed_at = time.monotonic()

    eventually(running.works, seconds=120)
    assert running.process.poll() is None
    record_property(
        "bar",
        f"broker without memory: a worker works again {time.monotonic() - freed_at:.0f} s after,"
        " the same process",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small volume")
def test_a_worker_recovers_after_the_brokers_volume_was_full(folder, worker, record_property):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "ispvm-test", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("no volume can be mounted here")
    try:
        for broker in start(folder):
            running = worker(broker)
            filler = folder / "filler"
            with filler.open("wb", buffering=0) as file:
                for size in (1 << 16, 1):
                    try:
                        while True:
                            file.write(bytes(size))
                    except OSError:
                        continue
            eventually(lambda broker=broker: broker.refuses())
            time.sleep(5)
            assert not running.works()

            filler.unlink()
            freed_at = time.monotonic()

            eventually(running.works, seconds=120)
            assert running.process.poll() is None
            record_property(
                "bar",
                f"broker on a full volume: a worker works again {time.monotonic() - freed_at:.0f} s"
                " after it was freed, the same process",
            )
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
