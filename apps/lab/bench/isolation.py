"""What row-level security costs: the same work on the same rows, with the policies and without them, alternately.

A is the database as it is installed. B is a copy of it in which every policy is disabled; the same code runs on it
as the same role. The tenant is set in both; the cost of that is measured separately.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from statistics import median
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import Client, override_settings

from apps.accounts.models import User
from apps.accounts.services import add_member, create_tenant, create_user
from apps.agents.models import Agent
from apps.agents.services import AgentIdentity, create_agent
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.core import clock
from apps.ingest.schema import parse_batch
from apps.ingest.services import accept_batch
from apps.inventory.models import Device, Site
from apps.lab.bench.figures import BenchOptions, Figure, WrongResult
from apps.lab.bench.scratch import as_owner, copy_of, scratch_database
from apps.telemetry import partitions
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

ACTOR = Actor.system("bench")
SITES, DEVICES = 50, 2_000
SAMPLES = 1_000
METRICS = ("device.cpu_pct", "device.temp_c")
#: Of each kind, in each round, on each side.
PAGES, BATCHES, SETTINGS = 8, 4, 200
MAX_RATIO = 1.3
LIST, PAGE = "/api/v1/devices/?page_size=100", "/devices/"
HOST = "127.0.0.1"
#: Pages are rendered, their style sheets are not served: no hashed names are needed.
PLAIN_STORAGES = {
    **settings.STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}


class _Tenant:
    """One tenant's network, a user, and the agent that sends its samples."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        at = clock.now()
        self.tenant: Tenant = create_tenant(slug="bench", name="Bench", actor=ACTOR, at=at)
        self.user: User = create_user(email="noc@bench.example", password=None)
        add_member(tenant=self.tenant, user=self.user, role=Role.NOC, actor=ACTOR, at=at)
        with acting_in(self.tenant):
            sites = [Site(name=f"site {n}", code=f"S{n}") for n in range(SITES)]
            Site.objects.bulk_create(sites)
            self.devices = [
                Device(
                    name=f"r{n:05}",
                    site=sites[n % SITES],
                    role="core",
                    management_address=f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
                )
                for n in range(DEVICES)
            ]
            Device.objects.bulk_create(self.devices)
            self.agent: Agent = create_agent(name="pop", actor=ACTOR, at=at)
        self._numbers = count(1)
        self._boot = UUID(int=self.random.getrandbits(128))
        self.client = Client(SERVER_NAME=settings.ALLOWED_HOSTS[0])
        self.client.force_login(self.user, backend="django.contrib.auth.backends.ModelBackend")

    @property
    def identity(self) -> AgentIdentity:
        ends = clock.now() + timedelta(days=1)
        return AgentIdentity(self.tenant.id, self.agent.id, "bench", ends)

    def batch(self) -> bytes:
        """The next batch of this agent: samples of devices in rotation."""
        number = next(self._numbers)
        now = clock.now().isoformat()
        start = number * SAMPLES // len(METRICS)
        devices = [self.devices[(start + n) % DEVICES] for n in range(SAMPLES // len(METRICS))]
        return orjson.dumps(
            {
                "schema_version": "1.0",
                "batch_id": UUID(int=self.random.getrandbits(128)),
                "boot_id": self._boot,
                "sequence": number,
                "sent_at": now,
                "agent": {"id": self.agent.id},
                "metrics": [
                    {
                        "ts": now,
                        "metric_name": metric,
                        "entity_type": "device",
                        "entity_id": device.id,
                        "value_num": float(self.random.randrange(2, 100)),
                    }
                    for device in devices
                    for metric in METRICS
                ],
                "events": [],
            }
        )

    def ingest(self, body: bytes) -> None:
        """Raises WrongResult unless every sample was accepted."""
        outcome = accept_batch(
            identity=self.identity, batch=parse_batch(body), body=body, at=clock.now()
        )
        if outcome.metrics != SAMPLES:
            raise WrongResult(f"{outcome.metrics} of {SAMPLES} samples were accepted.")

    def get(self, path: str) -> bytes:
        answer = self.client.get(path, headers={"Host": HOST})
        if answer.status_code != 200:
            raise WrongResult(f"{path} answered {answer.status_code}.")
        return bytes(answer.content)

    def set_tenant(self) -> None:
        for _ in range(SETTINGS):
            with acting_in(self.tenant):
                pass

    def open_transaction(self) -> None:
        for _ in range(SETTINGS):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1")


Times = dict[tuple[str, str], list[float]]


def measure_isolation(options: BenchOptions) -> Sequence[Figure]:
    """Raises WrongResult if the results differ, or a policy does not have its effect."""
    with override_settings(STORAGES=PLAIN_STORAGES), scratch_database("isolation") as name:
        as_owner(lambda cursor: partitions.ensure(cursor, clock.now().date()))
        options.echo(f"{DEVICES} devices, batches of {SAMPLES} samples")
        world = _Tenant(options.seed)
        for _ in range(2 * DEVICES * len(METRICS) // SAMPLES):
            world.ingest(
                world.batch()
            )  # every series exists before the copy, so that ids are equal
        with copy_of(name) as copy:
            as_owner(_switch_policies_off, copy)
            sides = {"A": name, "B": copy}
            for database in sides.values():
                as_owner(lambda cursor: cursor.execute("VACUUM ANALYZE"), database)
            with _connections(sides) as turn:
                _check_policies(world, turn)
                times = _measure_rounds(world, turn, options)
                _check_equal_rows(world, turn)
    return _figures(times)


def _measure_rounds(world: _Tenant, turn: Callable[[str], Any], options: BenchOptions) -> Times:
    times: Times = {}
    for number in range(options.rounds + 1):
        order = ("A", "B") if number % 2 else ("B", "A")
        for kind, calls, work in (
            ("list", PAGES, lambda: world.get(LIST)),
            ("page", PAGES, lambda: world.get(PAGE)),
            ("setting", 1, world.set_tenant),
            ("opening", 1, world.open_transaction),
        ):
            for _ in range(calls):
                for side in order:
                    with turn(side):
                        _timed(times, kind, side, work, counts=number > 0)
        for _ in range(BATCHES):
            body = world.batch()
            for side in order:
                with turn(side):
                    _timed(times, "ingest", side, lambda: world.ingest(body), counts=number > 0)  # noqa: B023  (called at once)
        options.echo(f"round {number} of {options.rounds}" + ("" if number else " (warming up)"))
    return times


def _timed(times: Times, kind: str, side: str, work: Callable[[], Any], *, counts: bool) -> None:
    started = time.perf_counter()
    work()
    elapsed = time.perf_counter() - started
    if counts:
        times.setdefault((kind, side), []).append(elapsed * 1000)


def _figures(times: Times) -> list[Figure]:
    found = []
    for kind, label in (
        ("list", "REST list of 100 devices"),
        ("page", "page of devices"),
        ("ingest", f"batch of {SAMPLES} samples"),
    ):
        with_policies, without_policies = (median(times[kind, side]) for side in "AB")
        found += [
            Figure(f"{label}, with policies", with_policies, "ms"),
            Figure(f"{label}, without", without_policies, "ms"),
            Figure(f"{label}, ratio", with_policies / without_policies, "", most=MAX_RATIO),
        ]
    extra = median(times["setting", "A"]) - median(times["opening", "A"])
    found.append(Figure("setting the tenant, beyond a transaction", extra / SETTINGS, "ms"))
    return found


@contextmanager
def _connections(sides: dict[str, str]) -> Iterator[Callable[[str], Any]]:
    """A persistent connection for each side; ``turn(side)`` makes it the one that all code uses."""
    own = connections["default"]
    created = {}
    for side, name in sides.items():
        created[side] = connections.create_connection("default")
        created[side].settings_dict = {**own.settings_dict, "NAME": name, "CONN_MAX_AGE": None}

    @contextmanager
    def turn(side: str) -> Iterator[None]:
        connections["default"] = created[side]
        try:
            yield
        finally:
            connections["default"] = own

    try:
        yield turn
    finally:
        for one in created.values():
            one.close()


def _switch_policies_off(cursor: Any) -> None:
    cursor.execute("SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity")
    for (table,) in cursor.fetchall():
        cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def _check_policies(world: _Tenant, turn: Callable[[str], Any]) -> None:
    for side, expected in (("A", 0), ("B", DEVICES)):
        with turn(side):
            if (seen := Device.objects.count()) != expected:
                raise WrongResult(f"{seen} devices are visible without a tenant on {side}.")
            with acting_in(world.tenant):
                if (seen := Device.objects.count()) != DEVICES:
                    raise WrongResult(f"{seen} devices are visible in the tenant on {side}.")


def _check_equal_rows(world: _Tenant, turn: Callable[[str], Any]) -> None:
    results = []
    for side in "AB":
        with turn(side), acting_in(world.tenant), connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(value) FROM telemetry_sample")
            results.append((cursor.fetchone(), world.get(LIST)))
    if results[0] != results[1]:
        raise WrongResult("The rows of the two databases differ.")
