"""`bench neighbors`: response times of a tenant while another one sends its most expensive requests without a pause.

The web process as deployed, over a network of 5,000 devices and a small neighbor of 12.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median, quantiles

from django.conf import settings

from apps.accounts.models import User
from apps.accounts.services import issue_token
from apps.core import clock
from apps.lab.bench.figures import BenchOptions, Figure, WrongResult
from apps.lab.bench.pages import (
    Page,
    SampleObjects,
    api_lists,
    html_pages,
    largest_objects,
    session_cookie,
)
from apps.lab.bench.scratch import scratch_database
from apps.lab.bench.serving import HttpClient, WebProcess, collected_files, web_process
from apps.lab.seed.inventory import SEEDER
from apps.lab.seed.prepare import prepare_partitions
from apps.lab.seed.run import Seeded, seed_demo
from apps.lab.seed.sizes import NEIGHBOR, SIZES
from apps.tenancy import acting_in

SIZE = "large"
ME = "/api/v1/me/"
P95_MS = 500.0
#: Concurrent requests of the noisy tenant.
PARALLEL = 8
#: Of the neighbor per round, and the pause between two of them.
PER_ROUND, PAUSE_SECONDS = 40, 0.1
#: Without the cost limit, which would end the flood.
NO_COST_LIMIT = {"ISPVM_TENANT_COST_PER_MINUTE": "1000000"}
#: Pause before a refused request is sent again.
AGAIN_SECONDS = 0.05
UNANSWERED = 0
#: How often each request is made alone, to find the most expensive.
TRIES = 3


@dataclass(frozen=True)
class Caller:
    """A member of a tenant: the headers of their browser session and of their API token."""

    cookie: dict[str, str]
    token: dict[str, str]

    def headers(self, page: Page) -> dict[str, str]:
        return self.token if page.is_api else self.cookie


def measure_neighbors(options: BenchOptions) -> Sequence[Figure]:
    """How long `/me/` of one tenant takes, alone and beside another's most expensive requests."""
    with collected_files() as home, scratch_database("neighbors") as database:
        at = clock.now().replace(microsecond=0)
        prepare_partitions(at)
        seeded_tenants = seed_demo(
            size=SIZE, seed=options.seed, password=str(options.seed) * 12, at=at, echo=options.echo
        )
        return list(measure_beside(seeded_tenants, database, home, options))


def measure_beside(
    seeded_tenants: Sequence[Seeded], database: str, home: Path, options: BenchOptions
) -> Iterator[Figure]:
    """Find the most expensive requests, then send them. Raises WrongResult."""
    noisy, quiet = (
        _caller(seeded, domain) for seeded, domain in zip(seeded_tenants, DOMAINS, strict=True)
    )
    with acting_in(seeded_tenants[0].tenant):
        objects = largest_objects()
    with web_process(database, home, variables=NO_COST_LIMIT) as served:
        costs = _costs(served, noisy, _requests(objects))
    for name, milliseconds in [(page.name, ms) for page, ms in costs][:10]:
        yield Figure(f"{name} computed", milliseconds, "ms")
    workers = settings.ISPVM_WEB_WORKERS
    with web_process(database, home, workers=workers, variables=NO_COST_LIMIT) as served:
        client = HttpClient(served.port, quiet.token)
        alone = [client.get(ME).milliseconds for _ in range(PER_ROUND)]
        yield Figure("me, alone p95", _p95(alone), "ms")
        for name, pages in _floods([page for page, _ in costs]):
            yield from _beside((name, pages), served, noisy, client, options.rounds)


DOMAINS = (SIZES[SIZE].domain, NEIGHBOR.domain)


def _caller(seeded: Seeded, domain: str) -> Caller:
    user = User.objects.get(email=f"noc@{domain}")
    _, token = issue_token(
        tenant=seeded.tenant, user=user, name="bench", actor=SEEDER, at=clock.now(), days=1
    )
    return Caller({"Cookie": session_cookie(user)}, {"Authorization": f"Bearer {token}"})


def _requests(objects: SampleObjects) -> list[Page]:
    """Everything that may be expensive: pages, full lists of the API, whole files and documents."""
    lists = [
        Page(f"{page.name}, 500 of them", f"{page.path}?page_size=500&total=true", is_api=True)
        for page in api_lists(objects)
    ]
    names = ("devices.csv", "sites.csv", "alerts.csv", "incidents.csv")
    files = [Page(name, f"/{name}{'?status=all' if 'inc' in name else ''}") for name in names]
    documents = [
        Page("api graph", "/api/v1/topology/graph/", is_api=True),
        Page("api description", "/api/schema/", is_api=True),
        *(
            Page(f"api latest {name}", f"/api/v1/metrics/latest/?metric={name}", is_api=True)
            for name in ("interface.rx_bps", "device.cpu_pct")
        ),
    ]
    return [*html_pages(objects), *lists, *files, *documents]


def _costs(served: WebProcess, caller: Caller, pages: Sequence[Page]) -> list[tuple[Page, float]]:
    """CPU time of each request, web process and database together, the most expensive first."""
    found = []
    for page in pages:
        client, took = HttpClient(served.port, caller.headers(page)), []
        for _ in range(TRIES):
            before = served.cpu_milliseconds()
            status = client.get(page.path).status
            if status != HTTPStatus.OK:
                raise WrongResult(f"{page.path} answered {status}.")
            took.append(
                sum(ms - before.get(pid, 0) for pid, ms in served.cpu_milliseconds().items())
            )
        found.append((page, median(took)))
    return sorted(found, key=lambda pair: -pair[1])


def _floods(costly: Sequence[Page]) -> Iterator[tuple[str, Sequence[Page]]]:
    """The most expensive one, the most expensive of those that have no limit of their own, and a mixture."""
    yield "the most expensive", costly[:1]
    yield "a mixture", costly[:PARALLEL]
    yield (
        "pages",
        [page for page in costly if not page.is_api and ".csv" not in page.path][:PARALLEL],
    )


def _beside(
    flood: tuple[str, Sequence[Page]],
    served: WebProcess,
    noisy: Caller,
    quiet: HttpClient,
    rounds: int,
) -> Iterator[Figure]:
    name, pages = flood
    took, own = [], Counter[int]()
    with _sending(pages, served, noisy) as statuses:
        mine = HttpClient(served.port, noisy.token)
        for _ in range(rounds * PER_ROUND):
            answer = quiet.get(ME)
            if answer.status != HTTPStatus.OK:
                raise WrongResult(f"The neighbor's request returned {answer.status}.")
            took.append(answer.milliseconds)
            own[mine.get(ME).status] += 1
            threading.Event().wait(PAUSE_SECONDS)
    if not statuses[HTTPStatus.TOO_MANY_REQUESTS]:
        raise WrongResult("Nothing of the noisy tenant was refused.")
    yield Figure(f"me, beside {name} p95", _p95(took), "ms", P95_MS)
    yield Figure(f"{name}: answered", statuses[HTTPStatus.OK], "")
    yield Figure(f"{name}: refused", statuses[HTTPStatus.TOO_MANY_REQUESTS], "")
    yield Figure(f"{name}: others", statuses.total() - statuses[200] - statuses[429], "", 0)
    yield Figure(f"{name}: the noisy tenant's own me, answered", own[HTTPStatus.OK], "")
    yield Figure(f"{name}: the noisy tenant's own me, refused", own.total() - own[200], "")


@contextmanager
def _sending(pages: Sequence[Page], served: WebProcess, caller: Caller) -> Iterator[Counter[int]]:
    """Keeps PARALLEL requests in progress; refused ones are repeated long before their ``Retry-After``. Yields the
    count of each status."""
    statuses: Counter[int] = Counter()
    stop, lock = threading.Event(), threading.Lock()

    def send(page: Page) -> None:
        client = HttpClient(served.port, caller.headers(page))
        while not stop.is_set():
            try:
                status = client.get(page.path).status
            except OSError:  # no response within the client's timeout
                status, client = UNANSWERED, HttpClient(served.port, caller.headers(page))
            with lock:
                statuses[status] += 1
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                stop.wait(AGAIN_SECONDS)

    threads = [
        threading.Thread(target=send, args=(pages[number % len(pages)],))
        for number in range(PARALLEL)
    ]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _p95(taken: Sequence[float]) -> float:
    return quantiles(taken, n=20)[-1]
