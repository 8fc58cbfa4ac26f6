"""500 slow clients at once, beside agents of three tenants; runs with `--long` only."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

import pytest
from django.db import connection

from agent.errors import AgentError
from agent.transport.ingest_client import IngestClient
from apps.agents.services import assign_agent, ensure_authority
from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from ispvm.supervisor.ports import free_port
from tests.ingest.listener import NGINX, behind_nginx, listening, write_files
from tests.ingest.slow_clients import SlowClients, loopback_addresses
from tests.ingest.test_behind_nginx import ACTOR, enroll_member
from tests.inventory.factories import make_device

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.django_db(transaction=True)]
needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs an nginx on this machine")
SLOW, AGENTS_PER_TENANT = 500, 3
SECONDS, PAUSE = 40.0, 0.5
SAMPLES = 200


class Agent:
    """An agent that sends heartbeats and batches in turn, every fifth over a new connection."""

    def __init__(self, tenant: Tenant, name: str, folder: Path, port: int) -> None:
        enrolled = enroll_member(tenant, name)
        with acting_in(tenant):
            device = make_device(f"cr-{name}")
            assign_agent(agent=enrolled.agent, device_ids=[device.id], actor=ACTOR, at=clock.now())
        self.id, self.device_id, self.boot_id = enrolled.agent.id, device.id, uuid4()
        self.client = IngestClient(enrolled.write(folder / name, f"https://127.0.0.1:{port}"), "")
        self.waits: list[float] = []
        self.errors: list[str] = []
        self.sequence = 0

    def work(self, stop: threading.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            if number % 5 == 0:
                self.client.http().close()
            started_at = time.monotonic()
            try:
                self.send() if number % 2 else self.beat()
            except AgentError as error:
                self.errors.append(str(error))
            self.waits.append(time.monotonic() - started_at)
            stop.wait(PAUSE)
        self.client.http().close()
        connection.close()

    def beat(self) -> None:
        body = {"sent_at": clock.now().isoformat(), "boot_id": str(self.boot_id)}
        assert self.client.heartbeat(body)["config_version"]

    def send(self) -> None:
        self.sequence += 1
        at = clock.now().isoformat()
        metric = {"metric_name": "device.cpu_pct", "entity_type": "device"}
        metric |= {"entity_id": str(self.device_id), "ts": at}
        body = {
            "schema_version": "1.0",
            "batch_id": str(uuid4()),
            "boot_id": str(self.boot_id),
            "sequence": self.sequence,
            "sent_at": at,
            "agent": {"id": str(self.id), "version": "1", "capabilities": []},
            "metrics": [{**metric, "value_num": float(n % 100)} for n in range(SAMPLES)],
            "events": [],
        }
        assert self.client.batch(gzip.compress(json.dumps(body).encode(), 1)).metrics == SAMPLES


@contextmanager
def direct(folder: Path) -> Iterator[int]:
    port = free_port()
    with listening(write_files(folder / "tls"), port, workers=2):
        yield port


def measure(port: int, folder: Path, slow_number: int, sources: list[str]) -> tuple[str, float]:
    """The figures of all agents, and their p95 in seconds."""
    agents = [
        Agent(tenant, f"{folder.name}-{tenant.slug}-{number}", folder, port)
        for tenant in _tenants()
        for number in range(AGENTS_PER_TENANT)
    ]
    stop = threading.Event()
    threads = [threading.Thread(target=agent.work, args=(stop,)) for agent in agents]
    with SlowClients(port, slow_number, sources=sources, is_full=False) as slow:
        for thread in threads:
            thread.start()
        time.sleep(SECONDS)
        stop.set()
        for thread in threads:
            thread.join()
        drops, open_count = slow.drops, slow.number_open
    waits = [wait for agent in agents for wait in agent.waits]
    errors = [fault for agent in agents for fault in agent.errors]
    cuts = quantiles(waits, n=100)
    figures = (
        f"{len(waits)} requests of {len(agents)} agents: p50 {cuts[49] * 1000:.0f} ms,"
        f" p95 {cuts[94] * 1000:.0f} ms, max {max(waits) * 1000:.0f} ms, {len(errors)} failed;"
        f" {open_count} slow at the end, {drops} dropped"
    )
    assert not errors, (figures, errors[:3])
    return figures, cuts[94]


def _tenants() -> list[Tenant]:
    return [
        Tenant.objects.get_or_create(slug=slug, defaults={"name": slug})[0]
        for slug in ("acme", "globex", "initech")
    ]


SOURCES = {"one address": ["127.0.0.2"], "many addresses": loopback_addresses(SLOW)}


@pytest.mark.parametrize("sources", SOURCES)
@pytest.mark.parametrize("path", ["direct", pytest.param("nginx", marks=needs_nginx)])
def test_500_slow_clients_do_not_slow_down_agents(path, sources, tmp_path, record_property):
    ensure_authority(at=clock.now())
    with (direct if path == "direct" else behind_nginx)(tmp_path) as port:
        baseline, _ = measure(port, tmp_path / "calm", 0, ["127.0.0.2"])
        figures, p95 = measure(port, tmp_path / "slow", SLOW, SOURCES[sources])

    record_property("bar", f"{path}, without slow clients: {baseline}")
    record_property("bar", f"{path}, {SLOW} slow clients from {sources}: {figures}")
    assert p95 < 0.5, f"{figures}; without slow clients: {baseline}"
