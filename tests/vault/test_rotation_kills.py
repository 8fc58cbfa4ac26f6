"""S2: both keys rotate while the rotation process is killed at random points and others read and write.

Each client knows what it wrote; a secret that is lost, swapped or unreadable at any moment fails the test.
"""

import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from apps.audit.models import PlatformRecord, Record
from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.vault import services
from apps.vault.envelope import seal
from apps.vault.models import CredentialSet, MasterKey, TenantKey
from apps.vault.registry import KeyScope, sealed_field
from apps.vault.services.data_keys import sealing_key
from apps.vault.services.sealing import field_associated_data
from tests.database import url_of_this_test
from tests.supervisor.waiting import eventually
from tests.vault.keys import key_file, open_main_secret, store, use_master

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.real]

PROJECT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


@dataclass
class Rotator:
    """See ``tests.vault.rotator``."""

    process: subprocess.Popen[str]
    started: queue.Queue[int] = field(default_factory=queue.Queue)
    codes: dict[int, int] = field(default_factory=dict)

    def listen(self) -> None:
        for line in self.process.stdout or ():
            words = line.split()
            if len(words) == 2:
                self.codes[int(words[0])] = int(words[1])
            elif words != ["ready"]:
                self.started.put(int(words[0]))

    def start(self, command: str) -> int:
        files = (
            django_settings.ISPVM_MASTER_KEY_FILE,
            django_settings.ISPVM_MASTER_KEY_PREVIOUS_FILE,
        )
        self.process.stdin.write(" | ".join((command, *files)) + "\n")
        self.process.stdin.flush()
        return self.started.get(timeout=300)

    def wait(self, child: int) -> int:
        eventually(lambda: child in self.codes, pause=0.002)
        return self.codes[child]

    def run(self, command: str, kill_after: float | None = None) -> int:
        """The command's exit code, or that it was killed after this many seconds."""
        child = self.start(command)
        if kill_after is not None:
            time.sleep(kill_after)
            if child not in self.codes:
                with suppress(ProcessLookupError):  # it exited at this moment
                    os.kill(child, signal.SIGKILL)
        return self.wait(child)


@pytest.fixture
def rotator():
    with subprocess.Popen(
        [sys.executable, "-m", "tests.vault.rotator"],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": url_of_this_test()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        rotator = Rotator(process)
        listener = threading.Thread(target=rotator.listen)
        listener.start()
        yield rotator
        process.stdin.close()
        process.wait(300)
        listener.join()


class Client(threading.Thread):
    """Reads and writes its own secrets in a loop, and opens those of others."""

    def __init__(
        self, number: int, own_names: list[str], all_names: list[str], tenant: Tenant
    ) -> None:
        super().__init__()
        self.rng = random.Random(number)
        self.own_names, self.all_names, self.tenant = own_names, all_names, tenant
        self.written = dict.fromkeys(own_names, 0)
        self.reads = self.writes = 0
        self.stopped = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                time.sleep(0.02)
                with acting_in(self.tenant):
                    if self.rng.random() < 0.5:
                        self.write(self.rng.choice(self.own_names))
                    else:
                        self.read(
                            self.rng.choice([*self.own_names[:20], self.rng.choice(self.all_names)])
                        )
        except BaseException as error:
            self.error = error
        finally:
            connection.close()

    def write(self, name: str) -> None:
        self.written[name] += 1
        store(f"{name}#{self.written[name]}", name)
        self.writes += 1

    def read(self, name: str) -> None:
        stored_name, _, number = open_main_secret(CredentialSet.objects.get(name=name)).partition(
            "#"
        )
        assert stored_name == name
        assert name not in self.written or int(number) == self.written[name]
        self.reads += 1


def fill(tenant: Tenant, count: int) -> list[str]:
    names = [f"{tenant.slug}-{n}" for n in range(count)]
    spec = sealed_field("vault_credentialset", "secret")
    with acting_in(tenant):
        key, rows = sealing_key(KeyScope.TENANT), []
        for name in names:
            row = CredentialSet(name=name, username="mon", updated_at=clock.now())
            row.sealed_secret = seal(
                key.secret, key.id, f"{name}#0".encode(), field_associated_data(spec, row.id)
            )
            rows.append(row)
        CredentialSet.objects.bulk_create(rows)
    return names


def run_with_kills(
    rotator: Rotator,
    settings,
    folder: Path,
    *,
    secrets: int,
    tenants: int,
    kills: int,
    client_count: int,
    seed: int,
) -> str:
    """Rotate and kill until the number of kills is reached; everything opens at every moment and at the end."""
    rng = random.Random(seed)
    acme = Tenant.objects.create(slug="acme", name="Acme Net")
    names = fill(acme, secrets)
    others = [Tenant.objects.create(slug=f"t{n}", name=f"T{n}") for n in range(tenants)]
    for other in others:
        fill(other, 1)
    clients = [Client(n, names[n::8][:200], names, acme) for n in range(client_count)]
    for client in clients:
        client.start()
    masters = [Path(settings.ISPVM_MASTER_KEY_FILE).read_text().strip()]
    hits, finished, durations = {"data": 0, "master": 0}, {"data": 0, "master": 0}, {}
    try:
        while sum(hits.values()) < kills or not all(hits.values()):
            kind = "master" if sum(finished.values()) % 2 else "data"
            command = (
                "vault_rotate_master" if kind == "master" else "vault_rotate_tenant acme --grace 0"
            )
            if kind == "master":  # as on a real installation: every process restarts with both keys
                masters.append(rng.randbytes(32).hex())
                use_master(
                    settings,
                    key_file(folder, f"master-{len(masters)}", masters[-1]),
                    key_file(folder, f"previous-{len(masters)}", "\n".join(masters[:-1])),
                )
            code = KILLED
            while code == KILLED:
                started_at = time.monotonic()
                expected = durations.get(kind)
                second = rotator.start(command) if rng.random() < 0.3 else None
                code = rotator.run(
                    command, None if expected is None else rng.uniform(0, 0.8 * expected)
                )
                hits[kind] += code == KILLED
                if second is not None:
                    assert rotator.wait(second) == 0
                if code != KILLED:
                    durations[kind] = min(time.monotonic() - started_at, expected or 60.0)
            assert code == 0
            finished[kind] += 1
            assert not [client.error for client in clients if client.error]
        assert rotator.run("vault_rotate_tenant acme --grace 0") == 0
        assert rotator.run("vault_rotate_master") == 0
    finally:
        for client in clients:
            client.stopped.set()
        for client in clients:
            client.join()
    assert not [client.error for client in clients if client.error]
    assert_everything_opens(acme, clients, names, others)
    use_master(settings, settings.ISPVM_MASTER_KEY_FILE)  # the newest alone is enough
    assert_everything_opens(acme, clients, names, others)
    services.check_master_key()
    return (
        f"S2: {secrets} secrets, {tenants + 1} tenants, seed {seed}: {hits['data']} kills of data key rotations"
        f" ({finished['data']} ended), {hits['master']} of master key rotations ({finished['master']} ended),"
        f" {sum(p.reads for p in clients)} reads and {sum(p.writes for p in clients)} writes meanwhile: 0 lost"
    )


def assert_everything_opens(acme, clients, names, others) -> None:
    written = {name: n for client in clients for name, n in client.written.items()}
    with acting_in(acme):
        rows = {row.name: row for row in CredentialSet.objects.all()}
        assert set(rows) == set(names)
        for name, row in rows.items():
            assert open_main_secret(row) == f"{name}#{written.get(name, 0)}"
        assert TenantKey.objects.filter(retired_at=None).count() == 1
        begun, ended = (
            Record.objects.filter(action=f"vault.rotation_{verb}").count()
            for verb in ("begun", "finished")
        )
        assert begun == ended > 0
    for other in others:
        state = services.vault_state(other.id, open_all=True)
        assert (state.secrets, state.unreadable) == (1, 0)
    assert MasterKey.objects.filter(retired_at=None).count() == 1
    rotated = PlatformRecord.objects.filter(action="vault.master_key_rotated").count()
    assert rotated == MasterKey.objects.count() - 1


class TestKilledRotation:
    def test_loses_nothing(self, rotator, settings, tmp_path, record_property):
        summary = run_with_kills(
            rotator, settings, tmp_path, secrets=200, tenants=2, kills=5, client_count=2, seed=3
        )
        record_property("bar", summary)

    @pytest.mark.long
    def test_loses_nothing_of_10000_secrets_in_100_kills(
        self, rotator, settings, tmp_path, record_property
    ):
        summary = run_with_kills(
            rotator,
            settings,
            tmp_path,
            secrets=10_000,
            tenants=60,
            kills=100,
            client_count=4,
            seed=4,
        )
        record_property("bar", summary)
