"""The signer in its own process: no token is lost and no certificate is issued twice when it is killed."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.db import connection

from agent.__main__ import main
from agent.protocol.tokens import parse_token
from agent.state import StateDir
from agent.transport.certificate import Renewal
from agent.transport.config_loop import ConfigLoop
from agent.transport.heartbeat import Heartbeat
from agent.transport.ingest_client import IngestClient
from agent.transport.tls import own_certificate
from apps.agents import services as agents
from apps.agents.models import Agent, AgentCertificate, EnrollmentToken, SigningRequest
from apps.agents.services import signing
from apps.agents.tokens import parse_secret
from apps.core import clock
from apps.tenancy import acting_in
from ispvm.supervisor.paths import PROJECT
from tests.agents.csr import make_csr
from tests.database import url_of_this_test
from tests.ingest.listener import ACTOR, listening, write_files
from tests.slots import free_port
from tests.supervisor.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

KILLS, LONG_KILLS = 2, 60


class Signer:
    """The signer's process; started again when it is killed, as a supervisor would."""

    def __init__(self, key_file: str) -> None:
        self._key_file = key_file
        self.start()

    def start(self) -> None:
        environment = {
            **os.environ,
            "DATABASE_URL": url_of_this_test(),
            "ISPVM_CA_KEY_FILE": self._key_file,
            "ISPVM_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "ispvm.settings.server",
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "signer"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "active authority" in self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def signing_process(settings) -> Iterator[Signer]:
    """Only the signer's process has the CA key; this process, like ingest, has none."""
    signer = Signer(settings.ISPVM_CA_KEY_FILE)
    settings.ISPVM_CA_KEY_FILE = ""
    try:
        yield signer
    finally:
        if signer.process.poll() is None:
            signer.kill()


def make_token(tenant, name: str) -> tuple[Agent, str]:
    at = clock.now()
    with acting_in(tenant):
        agent = agents.create_agent(name=name, actor=ACTOR, at=at)
        return agent, agents.issue_enroll_token(agent=agent, actor=ACTOR, at=at).text


def apply(token: str, csr: str) -> agents.IssuedCertificate:
    result = agents.EnrollmentRequest(parse_secret(token), csr)
    return agents.request_enrollment(result, at=clock.now())


def test_tokens_stay_unused_without_a_signer_and_a_repeated_request_gets_the_same_answer(
    acme, settings, monkeypatch
):
    with signing_process(settings) as signer:
        agent, token = make_token(acme, "pop-1")
        csr = make_csr()
        signer.kill()
        monkeypatch.setattr(signing, "SIGNER_TIMEOUT_SECONDS", 0.3)
        with pytest.raises(agents.SignerUnavailable):
            apply(token, csr)
        assert not SigningRequest.objects.exists()
        with acting_in(acme):
            assert EnrollmentToken.objects.get().used_at is None
        monkeypatch.setattr(signing, "SIGNER_TIMEOUT_SECONDS", 20)
        signer.start()

        first, again = apply(token, csr), apply(token, csr)

        assert (first, first.agent_id) == (again, agent.id)
        with pytest.raises(signing.SigningRefused) as other:
            apply(token, make_csr())
        assert (other.value.status, other.value.code) == (403, "token_refused")
        with pytest.raises(signing.SigningRefused) as guessed:
            apply("nonsense", make_csr())
        assert guessed.value.code == "token_refused"
        assert AgentCertificate.objects.count() == 1
        everything = str(list(SigningRequest.objects.values()))
        assert parse_token(token).secret not in everything


def enroll_while_killing_the_signer(tenant, settings, number: int) -> dict[str, int]:
    """Enroll agents while the signer is killed at random moments; refused requests are repeated unchanged."""
    rng = random.Random(7)
    counts = {"kills": 0, "enrolled": 0, "repeated": 0}
    with signing_process(settings) as signer:
        waiting = [make_token(tenant, f"pop-{n}") for n in range(number)]
        done = threading.Event()

        def enroll_all() -> None:
            for _, token in waiting:
                csr = make_csr()
                while True:
                    try:
                        apply(token, csr)
                        break
                    except agents.SignerUnavailable:
                        counts["repeated"] += 1
                counts["enrolled"] += 1
            done.set()
            connection.close()

        thread = threading.Thread(target=enroll_all)
        thread.start()
        while not done.is_set():
            if counts["kills"] < number:
                time.sleep(rng.uniform(0.0, 0.3))
                signer.kill()
                counts["kills"] += 1
                signer.start()
            else:
                done.wait(0.2)
        thread.join()
    for agent, _ in waiting:
        live = AgentCertificate.objects.filter(agent_id=agent.id, revoked_at=None)
        assert live.count() == 1
        assert AgentCertificate.objects.filter(agent_id=agent.id).count() == 1
    return counts


def test_a_killed_signer_loses_and_duplicates_nothing(acme, settings, record_property):
    counts = enroll_while_killing_the_signer(acme, settings, KILLS)

    record_property("bar", f"A1: kill -9 of the signer: {counts}")


@pytest.mark.long
def test_many_kills_of_the_signer_lose_and_duplicate_nothing(acme, settings, record_property):
    counts = enroll_while_killing_the_signer(acme, settings, LONG_KILLS)

    record_property("bar", f"A1: kill -9 of the signer: {counts}")


def test_ingest_refuses_to_start_with_the_key_of_the_authority(settings):
    result = subprocess.run(
        [sys.executable, "-c", "import ispvm.settings.ingest"],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": url_of_this_test()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode != 0
    assert "must not have the key of the authority" in result.stderr


def test_an_agent_stays_connected_through_a_rollover_of_the_authority(
    acme, settings, tmp_path, record_property
):
    """The real listener, the real signer and the agent's own code; no process is restarted."""
    files, port = write_files(tmp_path / "tls"), free_port()
    settings.ISPVM_INGEST_URL = f"https://127.0.0.1:{port}"
    with signing_process(settings), listening(files, port, renews_certificate=True):
        _, token = make_token(acme, "pop-1")
        state = StateDir(tmp_path / "state")
        assert main(["enroll", "--token", token, "--state-dir", str(state.folder)]) == 0
        client = IngestClient(state, "")
        stop, rng = threading.Event(), random.Random(1)
        config_loop = ConfigLoop(state, client, stop, rng, lambda _config: None)
        heartbeat = Heartbeat(state, client, stop, rng, boot_id=str(uuid4()), health=dict)
        config_loop.run_once()
        heartbeat.run_once()

        agents.stage_authority(actor=ACTOR, at=clock.now())
        _, late_token = make_token(acme, "pop-2")
        with pytest.raises(agents.AuthorityInUse):
            agents.promote_authority(actor=ACTOR, at=clock.now())
        config_loop.run_once()
        heartbeat.run_once()
        agents.promote_authority(actor=ACTOR, at=clock.now())
        before = files.certificate.read_bytes()
        eventually(lambda: files.certificate.read_bytes() != before)
        client.http().close()  # a new connection: another handshake with the new chain
        config_loop.run_once()
        heartbeat.run_once()
        old = own_certificate(state.identity).issuer
        assert Renewal(state, client, rng).renew_if_due(
            own_certificate(state.identity).not_valid_after_utc
        )
        assert own_certificate(state.identity).issuer != old
        heartbeat.run_once()
        folder = tmp_path / "late"
        assert main(["enroll", "--token", late_token, "--state-dir", str(folder)]) == 0
        agents.retire_authorities(actor=ACTOR, at=clock.now())
        config_loop.run_once()
        heartbeat.run_once()
        assert state.ca_bundle.read_text().count("BEGIN") == 1
        client.http().close()
        heartbeat.run_once()
        client.http().close()

    with acting_in(acme):
        assert set(Agent.objects.values_list("status", flat=True)) == {"active"}
    record_property(
        "bar", "A2: change of the authority with a running listener: 2 agents, 0 enrolled again"
    )
