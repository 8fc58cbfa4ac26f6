"""`bench deliver`: what one delivery costs the process that sends it, and which part is leasing, sending and settling.

Webhooks to the receiver of this project on loopback, which verifies and logs each of them.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from django.db import connection

from apps.authorization.actors import Actor
from apps.core import clock
from apps.core.http import EgressClient, EgressPolicy
from apps.delivery import services as delivery
from apps.delivery.choices import EventType
from apps.delivery.models import Destination
from apps.delivery.services import delivering
from apps.incidents.models import Incident
from apps.lab.bench.figures import BenchOptions, Figure, WrongResult
from apps.lab.bench.scratch import scratch_database
from apps.lab.bench.serving import LOOPBACK, MS, cpu_milliseconds_of, free_port, wait_until
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.webhooks import services
from apps.webhooks.channel import WebhookChannel

DELIVERIES = 2_000
INCIDENTS = 50
BODY_BYTES = 1_500
#: Leasing costs at most as much as sending.
MOST_LEASING = 1.0
POLICY = EgressPolicy(allow=(SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),))
#: Patient, so that a busy machine causes no retries.
CLIENT = EgressClient(POLICY, connect_seconds=300, total_seconds=300)
CHANNEL = WebhookChannel(lambda: CLIENT)
ACTOR = Actor.system("bench")
#: Part -> the function of ``delivering`` that does it.
PARTS = {"leasing": "lease_due", "sending": "_send", "settling": "settle"}


def measure_deliver(options: BenchOptions) -> Sequence[Figure]:
    """CPU of the sending process per delivery, by part. Raises WrongResult if a delivery is missing."""
    with scratch_database("deliver"), tempfile.TemporaryDirectory(prefix="ispvm-bench-") as folder:
        tenant = Tenant.objects.create(slug="bench", name="Bench")
        with _receiver(Path(folder)) as (url, secret_file, log):
            with acting_in(tenant):
                endpoint, secret = services.create_endpoint(
                    name="receiver", url=url, actor=ACTOR, at=clock.now(), policy=POLICY
                )
            secret_file.write_text(secret + "\n")
            rounds = []
            for number in range(options.rounds):
                _queue(tenant, endpoint.destination, random.Random(options.seed + number))
                rounds.append(_deliver_all(tenant.id, endpoint.id))
                options.echo(f"round {number + 1}: " + ", ".join(map(str, rounds[-1].values())))
            _check(log, DELIVERIES * options.rounds)
    return list(_figures(rounds))


def _queue(tenant: Tenant, destination: Destination, rng: random.Random) -> None:
    now = clock.now()
    with acting_in(tenant):
        first = Incident.objects.count()
        incidents = [
            Incident.objects.create(
                number=first + n + 1,
                status="open",
                severity="critical",
                title="cr1 is down",
                started_at=now,
                opened_at=now,
                root_type="device",
                root_id=uuid4(),
                root_name="cr1",
                confidence=0.9,
            )
            for n in range(INCIDENTS)
        ]
        for n in range(DELIVERIES):
            incident = {"id": incidents[n % INCIDENTS].pk, "sequence": n}
            event_id = uuid4()
            document = {
                "event_id": str(event_id),
                "event_type": EventType.INCIDENT_UPDATED,
                "tenant": {"id": str(tenant.id)},
                "incident": {**incident, "id": str(incident["id"])},
                "text": rng.randbytes(BODY_BYTES // 2).hex(),
            }
            delivery.add_delivery(
                destination=destination,
                event_id=event_id,
                event_type=EventType.INCIDENT_UPDATED,
                body=json.dumps(document).encode(),
                at=now,
                incident=incident,
            )


def _deliver_all(tenant_id: UUID, destination_id: UUID) -> dict[str, float]:
    """CPU milliseconds of this thread per delivery, by part, and of the database session."""
    spent = dict.fromkeys([*PARTS, "rest"], 0.0)
    with ExitStack() as stack:
        for part, name in PARTS.items():
            timed = _timed(getattr(delivering, name), part, spent)
            stack.enter_context(patch.object(delivering, name, timed))
        database, began = _database_cpu(), time.thread_time()
        done = 0
        while number := delivery.deliver_due(
            tenant_id=tenant_id,
            destination_id=destination_id,
            channel=CHANNEL,
            rng=random.Random(1),
        ):
            done += number
        total = time.thread_time() - began
    if done != DELIVERIES:
        raise WrongResult(f"{done} attempts instead of {DELIVERIES}.")
    spent["rest"] = total - sum(spent.values())
    spent["database"] = (_database_cpu() - database) / MS
    return {part: seconds * MS / DELIVERIES for part, seconds in spent.items()}


def _timed(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[part] += time.thread_time() - began

    return timed


def _database_cpu() -> float:
    """Milliseconds that this connection's session has computed; 0 for a database on another machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cpu_milliseconds_of(int(cursor.fetchone()[0]))


def _figures(rounds: list[dict[str, float]]) -> Iterator[Figure]:
    middle = {part: median(one[part] for one in rounds) for part in rounds[0]}
    computed = {part: ms for part, ms in middle.items() if part != "database"}
    total = sum(computed.values())
    for part, ms in middle.items():
        yield Figure(f"{part} per delivery", ms, "ms CPU")
    for part, ms in computed.items():
        yield Figure(f"share of {part}", 100 * ms / total, "%")
    yield Figure("leasing to sending", middle["leasing"] / middle["sending"], "", MOST_LEASING)
    yield Figure("deliveries per CPU second", MS / total, "")


@contextmanager
def _receiver(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """The receiver's URL, the file of its secrets and its log."""
    port, secret_file, log = free_port(), folder / "secret", folder / "log"
    secret_file.touch()
    command = (
        *(sys.executable, "-m", "apps.webhooks.receiver", "--listen", f"{LOOPBACK}:{port}"),
        *("--secret-file", str(secret_file), "--log", str(log)),
    )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603  (our own words)
    try:
        wait_until(log.exists, process)
        yield f"http://{LOOPBACK}:{port}/", secret_file, log
    finally:
        process.terminate()
        process.wait(timeout=30)


def _check(log: Path, number: int) -> None:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    verified = sum(bool(line.get("verified")) for line in lines)
    if verified != number:
        raise WrongResult(f"The receiver verified {verified} of {number}.")
