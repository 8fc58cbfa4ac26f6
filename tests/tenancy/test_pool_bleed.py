"""Connections that are passed from one request to the next never carry a tenant along, however the last one ended."""

import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from celery import shared_task
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from apps.core import clock
from apps.events.models import OutboxEvent
from apps.tenancy import acting_in, current_tenant_id
from apps.tenancy.models import Tenant
from tests.tenancy.bouncer import CLIENTS, SERVERS, needs_pgbouncer, pgbouncer

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 50
CONNECTIONS = 8
FEW, MANY = 500, 20_000


def visible() -> set[UUID]:
    """The tenants whose rows this connection can read, without a filter."""
    return set(OutboxEvent.objects.values_list("tenant_id", flat=True))


def write() -> None:
    OutboxEvent.objects.create(topic="t", key="k", payload={}, created_at=clock.now())


@shared_task(name="tests.sees_only")
def sees_only(*, tenant_id: str) -> bool:
    with acting_in(tenant_id):
        return visible() <= {UUID(tenant_id)}


def reads(mine: UUID, _other: UUID) -> None:
    with acting_in(mine):
        assert visible() == {mine}


def writes(mine: UUID, _other: UUID) -> None:
    with acting_in(mine):
        write()
        assert visible() == {mine}


def nests(mine: UUID, other: UUID) -> None:
    with acting_in(mine):
        with acting_in(other):
            assert visible() == {other}
        assert visible() == {mine}


def fails_inside(mine: UUID, other: UUID) -> None:
    with acting_in(mine):
        with suppress(ZeroDivisionError), acting_in(other):
            write()
            raise ZeroDivisionError
        assert visible() == {mine}


def fails_with_a_server_error(mine: UUID, _other: UUID) -> None:
    with suppress(ZeroDivisionError), acting_in(mine):
        write()
        raise ZeroDivisionError


def is_refused_by_the_database(mine: UUID, other: UUID) -> None:
    with acting_in(mine):
        with suppress(DatabaseError), transaction.atomic():
            OutboxEvent.objects.create(
                topic="t", key="k", payload={}, created_at=clock.now(), tenant_id=other
            )
        assert visible() == {mine}


def is_cancelled(mine: UUID, other: UUID) -> None:
    with suppress(OperationalError), acting_in(mine), acting_in(other):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 3")
            cursor.execute("SELECT pg_sleep(300)")
        raise AssertionError


def is_cancelled_by_another_connection(mine: UUID, other: UUID) -> None:
    """As `pg_cancel_backend` does it: at any moment, from another connection."""
    with acting_in(mine):
        with suppress(OperationalError), acting_in(other), connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            canceller = threading.Thread(target=cancel, args=(cursor.fetchone()[0],))
            canceller.start()
            try:
                cursor.execute("SELECT pg_sleep(300)")
            finally:
                canceller.join()
            raise AssertionError
        assert visible() == {mine}


def cancel(pid: int) -> None:
    while True:  # until it sleeps: a question cancelled too early would be another one's
        with CANCELLER.lock, CANCELLER.connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                " WHERE pid = %s AND state = 'active' AND query LIKE 'SELECT pg_sleep%%'",
                [pid],
            )
            if cursor.fetchone():
                return
        time.sleep(0.005)


class Canceller:
    """A connection to the database itself, without pgbouncer."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: Any = None


CANCELLER = Canceller()


def is_cancelled_and_goes_on(mine: UUID, other: UUID) -> None:
    with acting_in(mine):
        with suppress(OperationalError), acting_in(other), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 3")
            cursor.execute("SELECT pg_sleep(300)")
        assert visible() == {mine}


def commits_midway(mine: UUID, other: UUID) -> None:
    with acting_in(mine):
        write()
    assert visible() == set()
    with acting_in(other):
        assert visible() == {other}


def loses_its_connection(mine: UUID, _other: UUID) -> None:
    with acting_in(mine):
        assert visible() == {mine}
    connection.close()


def runs_a_task(mine: UUID, other: UUID) -> None:
    assert sees_only.apply(kwargs={"tenant_id": str(mine)}).get()
    assert sees_only.apply(kwargs={"tenant_id": str(other)}).get()


STORIES: tuple[Callable[[UUID, UUID], None], ...] = (
    *(reads, writes, nests, fails_inside, fails_with_a_server_error, is_refused_by_the_database),
    *(
        is_cancelled,
        is_cancelled_and_goes_on,
        is_cancelled_by_another_connection,
        commits_midway,
        loses_its_connection,
        runs_a_task,
    ),
)


class Pool:
    """Persistent connections, fewer than threads: each serves whoever comes next."""

    def __init__(self, size: int, **condition: object) -> None:
        self.free: queue.Queue = queue.Queue()
        for _ in range(size):
            created = connections.create_connection("default")
            created.settings_dict = {**created.settings_dict, **condition}
            created.inc_thread_sharing()
            self.free.put(created)

    def serve(self, work: Callable[[], None]) -> None:
        connections["default"] = borrowed = self.free.get()
        try:
            work()
        finally:
            self.free.put(borrowed)

    def close(self) -> None:
        while not self.free.empty():
            self.free.get().close()


def one_request(steps: Callable[[UUID, UUID], None], mine: UUID, other: UUID) -> None:
    assert visible() == set(), "the connection came with a tenant"
    steps(mine, other)
    assert current_tenant_id() is None
    assert not connection.in_atomic_block
    assert visible() == set(), f"{steps.__name__} left a tenant behind"


def play(pool: Pool, requests: int) -> tuple[int, list[tuple[int, str, str]]]:
    """The number of requests served, and the errors."""
    tenants = [Tenant.objects.create(slug=f"t{n}", name=f"T {n}").id for n in range(4)]
    for tenant_id in tenants:
        with acting_in(tenant_id):
            write()
    faults: list[tuple[int, str, str]] = []
    served: list[int] = []
    seed = int(os.environ.get("ISPVM_SEED", random.SystemRandom().randrange(2**32)))

    def serve(number: int) -> None:
        rng = random.Random(seed + number)
        for _ in range(requests // THREADS):
            steps, (mine, other) = rng.choice(STORIES), rng.sample(tenants, 2)
            try:
                pool.serve(lambda: one_request(steps, mine, other))  # noqa: B023  (called at once)
                served.append(1)
            except Exception as fault:
                faults.append((seed, steps.__name__, repr(fault)))

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.close()
    return len(served), faults


COUNTS = [FEW, pytest.param(MANY, marks=pytest.mark.long)]


@pytest.fixture(autouse=True)
def _canceller(transactional_db) -> Iterator[None]:
    CANCELLER.connection = connections.create_connection("default")
    CANCELLER.connection.inc_thread_sharing()
    yield
    CANCELLER.connection.close()


@pytest.mark.parametrize("requests", COUNTS)
def test_no_request_sees_the_tenant_of_the_previous_one(requests, record_property):
    served, faults = play(Pool(CONNECTIONS), requests)

    assert faults == []
    assert served == requests
    record_property(
        "bar",
        f"T4: {served} requests of {THREADS} threads over {CONNECTIONS} connections, 0 foreign rows",
    )


@needs_pgbouncer
@pytest.mark.parametrize("requests", COUNTS)
def test_no_request_sees_the_previous_tenant_behind_pgbouncer(requests, tmp_path, record_property):
    """Twenty clients share two connections of the server, passed on after every transaction."""
    with pgbouncer(tmp_path) as port:
        pool = Pool(CLIENTS, HOST="127.0.0.1", PORT=port)
        served, faults = play(pool, requests)

    assert faults == []
    assert served == requests
    record_property(
        "bar",
        f"T4: {served} requests of {THREADS} threads through pgbouncer's {SERVERS} connections, 0 foreign rows",
    )
