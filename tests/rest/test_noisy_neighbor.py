"""One tenant's requests never take all of a web process: the excess is refused, others are answered meanwhile."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connections
from django.test import Client

from apps.accounts import middleware
from apps.accounts.platform import open_access_session, platform_access
from apps.core import clock
from apps.core.admission import CostLimitExceeded, repeats
from apps.core.admission import middleware as admission_middleware
from apps.core.admission import request as admission
from apps.core.admission.process import ThreadShares
from apps.core.admission.repeats import RecentRefusals
from apps.rest import views
from tests.accounts.operators import make_operator
from tests.clients import bearer, problem, signed_in
from tests.database import as_owner
from tests.supervisor.waiting import eventually

#: Requests on threads of their own, as in the web process: they see what is committed.
on_threads = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

#: As many as one web process answers at once.
THREADS = 8
HELD = "/api/v1/devices/"
#: Only against a test that hangs.
HANG_SECONDS = 60


@pytest.fixture(autouse=True)
def _new_process(monkeypatch, settings) -> None:
    settings.ISPVM_TENANT_PARALLEL_REQUESTS = THREADS
    monkeypatch.setattr(admission, "_shares", ThreadShares(THREADS))
    monkeypatch.setattr(admission_middleware, "REFUSALS", RecentRefusals())
    # The lock below holds requests for as long as a test needs, also on a slow machine.
    monkeypatch.setattr(views, "STATEMENT_SECONDS", 2 * HANG_SECONDS)
    monkeypatch.setattr(middleware, "PAGE_SECONDS", 2 * HANG_SECONDS)


@pytest.fixture
def web() -> Iterator[ThreadPoolExecutor]:
    """The threads of one web process: what comes beyond them waits, as in gunicorn."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


@contextmanager
def devices_locked() -> Iterator[None]:
    """Every read of a device waits."""
    name = connections["default"].settings_dict["NAME"]
    with as_owner(name) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE inventory_device IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def waiting_for_devices() -> int:
    """Requests that the lock holds."""
    name = connections["default"].settings_dict["NAME"]
    with as_owner(name) as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
            " WHERE NOT granted AND relname = 'inventory_device'"
        )
        return int(cursor.fetchone()[0])


def get(client: Any, path: str) -> Any:
    try:
        return client.get(path)
    finally:
        connections.close_all()


class Hanging:
    """Requests that the lock holds, and those that were refused meanwhile."""

    def __init__(self, web: ThreadPoolExecutor, client: Any, path: str) -> None:
        self.sent: list[Future[Any]] = [web.submit(get, client, path) for _ in range(THREADS)]

    def wait(self, *, open_requests: int) -> list[Any]:
        """Until so many are held and all others refused; answers the refusals."""
        eventually(lambda: waiting_for_devices() == open_requests)
        eventually(lambda: sum(future.done() for future in self.sent) == THREADS - open_requests)
        return [future.result() for future in self.sent if future.done()]

    def statuses(self) -> list[int]:
        """Of all, once the lock is gone."""
        wait(self.sent)
        return sorted(future.result().status_code for future in self.sent)


@on_threads
def test_others_are_answered_while_one_tenants_requests_hang(
    web, acme, acme_noc, globex, globex_noc
):
    noisy, quiet = bearer(acme, acme_noc), bearer(globex, globex_noc)
    with devices_locked():
        hanging = Hanging(web, noisy, HELD)
        neighbor = web.submit(get, quiet, "/api/v1/me/").result(timeout=HANG_SECONDS)
        refused = hanging.wait(open_requests=4)

    assert neighbor.status_code == 200
    assert {problem(answer) for answer in refused} == {(429, "too_many_parallel_requests")}
    assert all(int(answer["Retry-After"]) >= 1 for answer in refused)
    assert hanging.statuses() == [200] * 4 + [429] * 4


@on_threads
def test_a_tenants_expensive_requests_leave_room_for_its_own_others(web, acme, acme_noc):
    client = bearer(acme, acme_noc)
    with devices_locked():
        hanging = Hanging(web, client, "/api/v1/topology/graph/")
        refused = hanging.wait(open_requests=2)
        own = web.submit(get, client, "/api/v1/me/").result(timeout=HANG_SECONDS)

    assert own.status_code == 200
    assert {problem(answer) for answer in refused} == {(429, "too_many_parallel_requests")}
    assert hanging.statuses() == [200] * 2 + [429] * 6


@on_threads
def test_pages_count_too_and_their_refusal_is_a_page(web, acme, acme_noc, globex, globex_noc):
    noisy, quiet = Client(), Client()
    noisy.force_login(acme_noc)
    quiet.force_login(globex_noc)
    with devices_locked():
        hanging = Hanging(web, noisy, "/devices/")
        neighbor = web.submit(get, quiet, "/account/").result(timeout=HANG_SECONDS)
        refused = hanging.wait(open_requests=4)
        program = web.submit(get, bearer(acme, acme_noc), "/api/v1/me/").result()

    assert neighbor.status_code == 200
    assert problem(program) == (429, "too_many_parallel_requests")
    for answer in refused:
        assert answer["Content-Type"].startswith("text/html")
        assert int(answer["Retry-After"]) >= 1
        assert "Too many requests" in answer.content.decode()


@on_threads
def test_a_visit_of_a_platform_operator_counts_as_the_tenant(web, acme, acme_noc):
    operator = make_operator()
    open_access_session(
        access=platform_access(operator),
        tenant_id=acme.pk,
        reason="ticket 4711: their alerts do not clear",
        minutes=60,
        at=clock.now(),
    )
    visitor = Client(headers={"X-ISPVM-Tenant": str(acme.pk)})
    signed_in(visitor, operator)
    with devices_locked():
        hanging = Hanging(web, visitor, HELD)
        hanging.wait(open_requests=4)
        member = web.submit(get, bearer(acme, acme_noc), "/api/v1/me/").result()

    assert problem(member) == (429, "too_many_parallel_requests")


@pytest.mark.django_db
class TestDownloads:
    PATH = "/devices.csv"

    @on_threads
    def test_count_until_they_are_sent_or_broken_off(self, client, acme, acme_noc):
        client.force_login(acme_noc)
        under_way = [client.get(self.PATH) for _ in range(2)]
        assert [answer.status_code for answer in under_way] == [200, 200]

        assert client.get(self.PATH).status_code == 429
        assert client.get("/api/v1/me/").status_code == 200

        b"".join(under_way[0].streaming_content)
        again = client.get(f"{self.PATH}?again")
        assert again.status_code == 200
        again.close()
        assert client.get(f"{self.PATH}?and-again").status_code == 200

    def test_refusals_are_counted_by_reason_without_a_tenant(self, client, acme, acme_noc):
        client.force_login(acme_noc)
        before = counted("parallel_expensive")

        under_way = [client.get(self.PATH) for _ in range(3)]

        assert under_way[2].status_code == 429
        assert counted("parallel_expensive") == before + 1
        assert admission.REFUSED._labelnames == ("reason",)


@pytest.mark.django_db
class TestRepeats:
    """What comes again before its Retry-After is over costs no query, and touches nobody else."""

    PATH = "/api/v1/topology/graph/"

    @pytest.fixture
    def over(self, settings, acme) -> None:
        settings.ISPVM_TENANT_COST_PER_MINUTE = 6
        admission.limits().release(acme.pk, "none", cost=14, budget=admission.budget())

    def test_is_refused_alike_without_a_query(
        self, over, acme, acme_noc, django_assert_num_queries
    ):
        client = bearer(acme, acme_noc)
        first = client.get(self.PATH)

        with django_assert_num_queries(0):
            again = client.get(self.PATH)

        assert problem(first) == problem(again) == (429, "cost_limit_exceeded")
        assert again["Retry-After"] == first["Retry-After"]

    @on_threads
    def test_other_requests_and_other_callers_are_looked_at(
        self, over, acme, acme_noc, acme_admin, globex, globex_noc
    ):
        client = bearer(acme, acme_noc)
        client.get(self.PATH)

        assert client.get("/api/v1/me/").status_code == 200
        assert client.head(self.PATH).status_code == 429
        assert bearer(globex, globex_noc).get(self.PATH).status_code == 200
        before = counted("repeated")
        assert bearer(acme, acme_admin).get(self.PATH).status_code == 429
        assert counted("repeated") == before

    @on_threads
    def test_after_some_seconds_it_is_looked_at_again(self, over, acme, acme_noc, monkeypatch):
        monkeypatch.setattr(repeats, "MAX_SECONDS", 0)
        client = bearer(acme, acme_noc)
        client.get(self.PATH)
        before = counted("cost")

        client.get(self.PATH)

        assert counted("cost") == before + 1

    def test_a_page_gets_a_page(self, acme, acme_noc, client):
        client.force_login(acme_noc)
        _under_way = [client.get("/devices.csv") for _ in range(2)]
        client.get("/devices.csv")
        before = counted("repeated")

        again = client.get("/devices.csv")

        assert counted("repeated") == before + 1
        assert (again.status_code, again["Content-Type"]) == (429, "text/html; charset=utf-8")

    def test_many_callers_do_not_fill_the_memory(self, monkeypatch, rf):
        monkeypatch.setattr(repeats, "MAX_CALLERS", 10)
        refusals = RecentRefusals()
        for number in range(50):
            refusals.add(rf.get(f"/{number}"), CostLimitExceeded())

        assert len(refusals._refusals) == 10


def counted(reason: str) -> float:
    return admission.REFUSED.labels(reason)._value.get()


@pytest.mark.django_db
class TestCost:
    """Seconds of processor and database, charged when a request is over."""

    @pytest.fixture(autouse=True)
    def _budget(self, settings) -> None:
        settings.ISPVM_TENANT_COST_PER_MINUTE = 6  # a burst of 12, a reserve of 6

    def charge(self, tenant: Any, cost: float) -> None:
        admission.limits().release(tenant.pk, "none", cost=cost, budget=admission.budget())

    @on_threads
    def test_over_it_expensive_requests_wait_and_ordinary_ones_do_not(
        self, acme, acme_noc, globex, globex_noc
    ):
        self.charge(acme, 14)
        client = bearer(acme, acme_noc)

        refused = client.get("/api/v1/topology/graph/")

        assert problem(refused) == (429, "cost_limit_exceeded")
        assert 10 <= int(refused["Retry-After"]) <= 30
        assert client.get("/api/v1/me/").status_code == 200
        other = bearer(globex, globex_noc)
        assert other.get("/api/v1/topology/graph/").status_code == 200

    def test_far_over_it_all_requests_wait(self, acme, acme_noc):
        self.charge(acme, 1_000)

        refused = bearer(acme, acme_noc).get("/api/v1/me/")

        assert problem(refused) == (429, "cost_limit_exceeded")
        assert int(refused["Retry-After"]) <= 61  # debt has a floor: it is over in bounded time

    @on_threads
    def test_time_in_the_database_is_charged(self, web, acme, acme_noc):
        client = bearer(acme, acme_noc)

        with devices_locked():
            one = web.submit(get, client, HELD)
            eventually(lambda: waiting_for_devices() == 1)
            time.sleep(1.5)
        assert one.result().status_code == 200

        assert remaining(acme) < 12 - 1


def remaining(tenant: Any) -> float:
    """Of the tenant's budget."""
    server = redis.Redis.from_url(settings.ISPVM_REDIS_URL)
    return float(server.hget(f"ispvm:cost:{tenant.pk}", "level"))


@pytest.mark.django_db
class TestForms:
    """Pages and the admin: what Django reads of a form before a view sees it."""

    FIELDS = 1_000

    def post(self, client: Any, fields: dict[str, str]) -> Any:
        client.raise_request_exception = False
        return client.post("/maintenance/new/", fields)

    def test_of_too_many_fields_are_refused(self, client, acme_noc):
        client.force_login(acme_noc)

        answer = self.post(client, {f"x{number}": "" for number in range(self.FIELDS + 1)})

        assert answer.status_code == 400

    def test_that_are_too_long_are_refused(self, client, acme_noc):
        client.force_login(acme_noc)

        answer = self.post(client, {"title": "x" * (2 * 1024 * 1024)})

        assert answer.status_code == 400


def test_first_requests_at_once_count_in_one_place(monkeypatch):
    monkeypatch.setattr(admission, "_shares", None)
    monkeypatch.setattr(admission, "ThreadShares", slowly(ThreadShares))

    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda _: admission.shares(), range(THREADS)))

    assert len({id(shares) for shares in found}) == 1


def slowly(make: Any) -> Any:
    """What gives other threads their turn while something is created."""

    def created(*args: Any) -> Any:
        time.sleep(0.05)
        return make(*args)

    return created
