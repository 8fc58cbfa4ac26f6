"""Slow clients occupy connections and no threads: agents are answered meanwhile."""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from agent.errors import ServerUnreachable
from agent.state import StateDir
from agent.transport.ingest_client import IngestClient
from apps.agents.services import ensure_authority
from apps.core import clock
from ispvm.supervisor.ports import free_port
from tests.ingest.listener import NGINX, behind_nginx, listening, write_files
from tests.ingest.slow_clients import KINDS, SlowClients, loopback_addresses
from tests.ingest.test_behind_nginx import enroll_member
from tests.supervisor.waiting import attempts

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]
needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs an nginx on this machine")
ROUNDS = 3


@pytest.fixture
def port(tmp_path):
    """The listener with two processes."""
    ensure_authority(at=clock.now())
    port = free_port()
    with listening(write_files(tmp_path / "tls"), port, workers=2):
        yield port


def beat(port: int, tenant, folder: Path) -> None:
    """An agent with a new connection for each heartbeat: all of them are answered."""
    state = enroll_member(tenant, f"pop-{folder.name}").write(folder, f"https://127.0.0.1:{port}")
    for _ in range(ROUNDS):
        heartbeat(state)


def heartbeat(state: StateDir) -> None:
    client = IngestClient(state, "")
    answer = client.heartbeat({"sent_at": clock.now().isoformat(), "boot_id": str(uuid4())})
    assert answer["config_version"]
    client.http().close()


@pytest.mark.parametrize("kind", KINDS)
def test_twelve_slow_clients_do_not_block_agents(port, acme, tmp_path, kind):
    """Twelve are more than the threads of both processes."""
    with SlowClients(port, 12, kinds=[kind], sources=["127.0.0.2"]) as slow:
        beat(port, acme, tmp_path / "a")
        assert slow.number_open == 12


def test_sixty_of_all_kinds_do_not_block_agents(port, acme, tmp_path):
    with (
        SlowClients(port, 30, sources=["127.0.0.2"]) as near,
        SlowClients(port, 30, sources=loopback_addresses(30)) as far,
    ):
        beat(port, acme, tmp_path / "a")
        assert (near.number_open, far.number_open) == (30, 30)


def test_a_flood_from_the_address_of_an_agent_does_not_block_it(port, acme, tmp_path):
    """Each of the two processes accepts 64 connections; a new one replaces the oldest. If that is the agent's, the
    agent retries."""
    state = enroll_member(acme, "pop-a").write(tmp_path / "a", f"https://127.0.0.1:{port}")
    with SlowClients(port, 300, kinds=["idle", "headers"], sources=["127.0.0.1"], is_full=False):
        for _ in attempts("a heartbeat beside the flood"):
            with suppress(ServerUnreachable):
                heartbeat(state)
                break


@needs_nginx
def test_sixty_behind_nginx_do_not_block_agents(acme, tmp_path):
    ensure_authority(at=clock.now())
    with (
        behind_nginx(tmp_path) as port,
        SlowClients(port, 60, sources=loopback_addresses(20)) as slow,
    ):
        beat(port, acme, tmp_path / "a")
        assert slow.number_open == 60
