"""A2: certificates are renewed for months, with agents offline or killed, and no agent has to enroll again."""

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings
from django.db import connections
from django.test import Client as DjangoClient

from agent.buffer import batch_writer
from agent.buffer.batch_writer import BatchWriter
from agent.buffer.store import Buffer
from agent.samples import Event, PollResult
from agent.state import Enrollment, StateDir
from agent.transport import push
from agent.transport.certificate import Renewal
from agent.transport.config_loop import ConfigLoop
from agent.transport.http import Client, Response
from agent.transport.ingest_client import IngestClient
from agent.transport.push import Pusher
from agent.transport.tls import (
    fingerprints,
    identity_pem,
    make_csr,
    make_key,
    own_certificate,
    strict_context,
    unverified_context,
)
from apps.agents import services as agents
from apps.agents.identity import clear_certificate_cache
from apps.agents.models import AgentCertificate, CertificateAuthority
from apps.audit.models import Record
from apps.core import clock
from apps.ingest.models import BatchReceipt, Stream
from apps.telemetry import partitions
from apps.telemetry.models import Event as StoredEvent
from apps.telemetry.partitions import LATE_DAYS
from apps.tenancy import acting_in
from ispvm.supervisor.paths import PROJECT
from tests.agent.conftest import ACTOR
from tests.database import as_owner
from tests.ingest.client import PeerSocket

DAY = timedelta(days=1)
DAYS = 90


def member(tenant, name: str, folder: Path, url: str) -> StateDir:
    """An enrolled state folder, by the server's own services."""
    at, key = clock.now(), make_key()
    with acting_in(tenant):
        agent = agents.create_agent(name=name, actor=ACTOR, at=at)
        token = agents.issue_enroll_token(agent=agent, actor=ACTOR, at=at).text
    issued = agents.enroll_agent(token=token, csr_pem=make_csr(key), at=at)
    state = StateDir(folder)
    state.create()
    state.write(state.ca_bundle.name, issued.ca_pem.encode())
    state.write(state.identity.name, identity_pem(key, issued.certificate_pem))
    state.save_enrollment(Enrollment(url, str(agent.id), str(tenant.id)))
    return state


class TestKills:
    """kill -9 of the agent between receiving and storing the new certificate, at every file system call."""

    @pytest.fixture
    def renewer(self):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.agent.renewal_worker"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        yield process
        process.stdin.close()
        process.wait(timeout=300)
        process.stdout.close()

    def run(self, ingest, renewer, tmp_path: Path, cases: int) -> Counter[str]:
        tally: Counter[str] = Counter()
        later, step = clock.now() + 20 * DAY, 0
        for case in range(cases):
            state = member(ingest.tenant, f"pop-{case}", tmp_path / f"state-{case}", ingest.url)
            before = state.identity.read_bytes()
            request = {"state": str(state.folder), "at": later.isoformat(), "step": step}
            renewer.stdin.write(json.dumps(request) + "\n")
            renewer.stdin.flush()
            response = json.loads(renewer.stdout.readline())
            assert not response["failed"]
            step = step + 1 if response["killed"] else 0

            tally["killed" if response["killed"] else "completed"] += 1
            tally["new" if state.identity.read_bytes() != before else "old"] += 1
            strict_context(
                state.ca_bundle.read_text(), state.identity
            )  # raises if key and certificate do not match
            client = IngestClient(StateDir(state.folder), "")
            beat = {"sent_at": clock.now().isoformat(), "boot_id": str(uuid4())}
            assert client.heartbeat(beat)["server_time"], "it would have to enroll again"
            if state.identity.read_bytes() == before:
                assert Renewal(state, client, random.Random(1)).renew_if_due(later)
                client.heartbeat(beat)
            client.http().close()
        return tally

    def test_a_killed_renewal_leaves_a_pair_that_works(
        self, ingest, renewer, tmp_path, record_property
    ):
        tally = self.run(ingest, renewer, tmp_path, 20)

        assert {"killed", "completed", "old", "new"} <= set(tally)
        record_property("bar", f"A2: kill -9 at each file system call: {dict(tally)}")

    @pytest.mark.long
    def test_a_killed_renewal_leaves_a_pair_that_works_500_times(
        self, ingest, renewer, tmp_path, record_property
    ):
        tally = self.run(ingest, renewer, tmp_path, 500)

        record_property("bar", f"A2: kill -9 at each file system call: {dict(tally)}")


class DirectClient(Client):
    """The agent's HTTP client, calling the server's application directly instead of over a connection."""

    def __init__(self, state: StateDir) -> None:
        super().__init__("https://127.0.0.1", unverified_context())
        self._state = state
        self._django = DjangoClient()

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Any) -> Response:
        der = own_certificate(self._state.identity).public_bytes(Encoding.DER)
        extra = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        response = self._django.generic(
            method,
            f"/ingest/v1/{path}",
            body or b"",
            headers.get("Content-Type", ""),
            **extra,
            **{"gunicorn.socket": PeerSocket(der)},
        )
        return Response(response.status_code, dict(response.headers), response.content)


class DirectIngestClient(IngestClient):
    def http(self) -> Client:
        return DirectClient(self._state)


@dataclass
class Host:
    """An agent under the accelerated clock."""

    state: StateDir
    offline: tuple[int, int]
    rng: random.Random
    measured_at: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = DirectIngestClient(self.state, "")
        self.renewal = Renewal(self.state, self.client, self.rng)
        self.buffer = Buffer(self.state.buffer)
        self.agent_id = self.state.enrollment().agent_id
        self.batch_writer = BatchWriter(self.buffer, agent_id=self.agent_id)
        stop = threading.Event()
        self.pusher = Pusher(
            self.buffer,
            self.client,
            stop,
            self.rng,
            lambda: None,
            boot_id=self.batch_writer.boot_id,
        )
        self.config_loop = ConfigLoop(self.state, self.client, stop, self.rng, lambda _config: None)
        self.version = ""

    def measure(self, at: datetime) -> None:
        event = Event(at.timestamp(), "agent.buffer.high", "agent", self.agent_id, {}, "info")
        self.batch_writer.put(PollResult(events=(event,)))
        self.batch_writer.flush()
        self.measured_at.append(at)

    def exchange(self, at: datetime, tally: Counter[str]) -> None:
        old = own_certificate(self.state.identity)
        if self.renewal.renew_if_due(at):
            tally["renewals"] += 1
            tally["renewals after the end"] += at > old.not_valid_after_utc
            if at < old.not_valid_after_utc:
                der = old.public_bytes(Encoding.DER)
                assert agents.authenticate_certificate(der=der, at=at), "no overlap"
        body = {
            "sent_at": at.isoformat(),
            "boot_id": self.batch_writer.boot_id,
            "trusted_authorities": fingerprints(self.state.ca_bundle.read_text()),
        }
        version = self.client.heartbeat(body)["config_version"]
        if version != self.version:
            config = self.client.config(None)
            self.config_loop._save_ca_bundle(config)
            self.version = config["version"]
        while self.buffer.depth:
            self.pusher.run_once()


def keep_partitions(at: datetime, until: str = "") -> None:
    """The keeper's daily job; ``until`` drops the partitions of the simulated future."""
    with as_owner(settings.DATABASES["default"]["NAME"]) as owner:
        partitions.ensure(owner, at.date())
        owner.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = %s",
            [partitions.SCHEMA],
        )
        for (name,) in owner.fetchall():
            if until and name > until:
                owner.execute(f"DROP TABLE {name}")


class TestAcceleratedClock:
    def run(self, acme, tmp_path: Path, monkeypatch, *, hosts: int, every: int) -> Counter[str]:
        rng, tally = random.Random(90), Counter()
        start = clock.now()
        moment = [start]
        monkeypatch.setattr(clock, "now", lambda: moment[0])
        for module in (batch_writer, push):
            monkeypatch.setattr(module, "now", lambda: moment[0].timestamp())  # noqa: PLW0108  (it moves)
        monkeypatch.setattr(batch_writer, "host_clock_offset", lambda: 0.0)
        fleet = []
        for number in range(hosts):
            state = member(acme, f"pop-{number}", tmp_path / f"state-{number}", "https://127.0.0.1")
            offline = (0, 0)
            if number % 10 == 0:
                first = rng.randrange(5, DAYS - 30)
                offline = (first, first + rng.randint(20, 29))
            fleet.append(Host(state, offline, random.Random(number)))
        rollover = "stage"
        for day in range(0, DAYS + 1, every):
            moment[0] = start + day * DAY + rng.random() * timedelta(hours=20)
            if rng.random() < 0.3:  # the server restarts
                clear_certificate_cache()
                connections.close_all()
                tally["server restarts"] += 1
            keep_partitions(moment[0])
            for host in fleet:
                moment[0] += timedelta(seconds=1)
                host.measure(moment[0])
                if host.offline[0] <= day < host.offline[1]:
                    tally["days offline"] += every
                    continue
                host.exchange(moment[0], tally)
            rollover = self.roll(rollover, day, moment[0], tally)
        moment[0] += DAY
        keep_partitions(moment[0])
        for host in fleet:
            host.exchange(moment[0], tally)
        assert rollover == "done"
        return self.count(acme, fleet, tally)

    def roll(self, step: str, day: int, at: datetime, tally: Counter[str]) -> str:
        """Change the authority meanwhile, as soon as no agent would be cut off."""
        try:
            if step == "stage" and day >= 15:
                agents.stage_authority(actor=ACTOR, at=at)
                return "promote"
            if step == "promote":
                agents.promote_authority(actor=ACTOR, at=at)
                tally["day of the promotion"] = day
                return "retire"
            if step == "retire":
                agents.retire_authorities(actor=ACTOR, at=at)
                tally["day of the retirement"] = day
                return "done"
        except agents.AuthorityInUse:
            tally["refused steps"] += 1
        return step

    def count(self, acme, fleet: list[Host], tally: Counter[str]) -> Counter[str]:
        with acting_in(acme):
            for host in fleet:
                assert host.buffer.depth == 0
                assert not (host.state.folder / "buffer/quarantine").exists()
                stream = Stream.objects.get(agent_id=host.agent_id)
                receipts = BatchReceipt.objects.filter(stream=stream)
                assert (stream.high, stream.ahead) == (len(host.measured_at), [])
                assert (stream.samples_dropped, stream.sequences_skipped) == (0, 0)
                rejected = sum(receipts.values_list("rejected", flat=True))
                stored = StoredEvent.objects.filter(
                    entity_id=host.agent_id, event_type="agent.buffer.high"
                ).count()
                assert stored + rejected == len(host.measured_at) == receipts.count()
                if host.offline == (0, 0):
                    assert rejected == 0
                tally["batches"] += len(host.measured_at)
                tally[f"items rejected as older than {LATE_DAYS} days"] += rejected
            enrollments = Record.objects.filter(action="agent.enrolled").count()
        old = CertificateAuthority.objects.get(stage="retired")
        assert AgentCertificate.objects.filter(authority=old).exists()
        tally["agents"] = len(fleet)
        # Each was enrolled once, when it was created.
        tally["enrolled again"] = enrollments - len(fleet)
        assert enrollments == len(fleet)
        return tally

    @pytest.fixture(autouse=True)
    def _partitions_of_today(self, transactional_db):
        yield
        today = datetime.now(UTC).date()
        keep_partitions(datetime.now(UTC), until=partitions.name_of(today + 3 * DAY))

    @pytest.fixture(autouse=True)
    def _ingest_urls(self, settings):
        settings.ROOT_URLCONF = "ispvm.ingest_urls"
        settings.MIDDLEWARE = []

    @pytest.mark.django_db(transaction=True)
    def test_months_pass(self, acme, tmp_path, monkeypatch, record_property):
        tally = self.run(acme, tmp_path, monkeypatch, hosts=3, every=5)

        record_property("bar", f"A2: {DAYS} virtual days: {dict(tally)}")

    @pytest.mark.long
    @pytest.mark.django_db(transaction=True)
    def test_months_pass_for_200_agents(self, acme, tmp_path, monkeypatch, record_property):
        tally = self.run(acme, tmp_path, monkeypatch, hosts=200, every=2)

        record_property("bar", f"A2: {DAYS} virtual days: {dict(tally)}")


def test_a_bundle_names_each_of_its_authorities(acme):
    pem = agents.authority_certificate(at=clock.now())

    assert fingerprints(pem + pem) == fingerprints(pem) * 2
