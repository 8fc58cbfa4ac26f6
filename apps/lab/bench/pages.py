"""`bench pages`: every page and the main lists of the API over a network of 5,000 devices and 10,000 incidents,
through the real web process, signed in as a NOC operator."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.accounts.services import issue_token
from apps.backoffice.base import TenantAdmin
from apps.backoffice.paging import MAX_COUNTED_ROWS
from apps.core import clock
from apps.delivery.models import Delivery
from apps.incidents.models import Incident
from apps.inventory.models import Device, Interface, Site
from apps.lab.bench.figures import BenchOptions, Figure, WrongResult
from apps.lab.bench.paint import first_paint
from apps.lab.bench.scratch import scratch_database
from apps.lab.bench.serving import HttpClient, WebProcess, collected_files, web_process
from apps.lab.seed.inventory import SEEDER
from apps.lab.seed.prepare import prepare_partitions
from apps.lab.seed.run import seed_demo
from apps.lab.seed.sizes import SIZES
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

SIZE = "large"
PAGE_MS, API_MS, PAGE_KB, PAINT_MS = 200.0, 50.0, 100.0, 1_000.0
#: Requests per page and round; the slowest of twenty is the 95th percentile of one round.
PER_ROUND = 20
KB = 1_000.0
#: The last page of a list in the admin.
LAST_PAGE = MAX_COUNTED_ROWS // TenantAdmin.list_per_page


@dataclass(frozen=True)
class Page:
    """A page or document by its path."""

    name: str
    path: str
    is_api: bool = False
    #: Data that a script of a page fetches.
    is_data: bool = False


@dataclass(frozen=True)
class SampleObjects:
    """The largest object of each kind."""

    device: object
    site: object
    incident: object
    delivery: object


def html_pages(objects: SampleObjects) -> list[Page]:
    """Every page that shows a tenant's rows."""
    return [
        Page("home", "/"),
        Page("incidents", "/incidents/"),
        Page("incidents, all", "/incidents/?status=all"),
        Page("incidents, by devices", "/incidents/?status=all&sort=-devices"),
        Page("incident", f"/incidents/{objects.incident}/"),
        Page("devices", "/devices/"),
        Page("devices, last page", "/devices/?page=100"),
        Page("devices, searched", "/devices/?q=mad"),
        Page("devices, down", "/devices/?state=down"),
        Page("devices, by state", "/devices/?sort=state"),
        Page("devices, by time read", "/devices/?sort=-read"),
        Page("devices, by alerts", "/devices/?sort=-alerts"),
        Page("device", f"/devices/{objects.device}/"),
        Page("device, its login", f"/devices/{objects.device}/login/"),
        Page("sites", "/sites/"),
        Page("site", f"/sites/{objects.site}/"),
        Page("sites, by devices", "/sites/?sort=-devices"),
        Page("alerts", "/alerts/"),
        Page("search", "/search/?q=cr1"),
        Page("incidents, mine and critical", "/incidents/?owner=me&severity=critical"),
        Page("map", "/map/"),
        Page("map, its sites", "/map/data/", is_data=True),
        Page("topology", "/topology/"),
        Page("topology, its sites", "/topology/data/", is_data=True),
        Page("topology, one site", f"/topology/data/?site={objects.site}", is_data=True),
        Page("incident, its chart", f"/incidents/{objects.incident}/series/", is_data=True),
        Page("incident, its graph", f"/incidents/{objects.incident}/impact-graph/", is_data=True),
        Page("device, its charts", f"/devices/{objects.device}/series/?range=24h", is_data=True),
        Page("maintenance", "/maintenance/"),
        Page("maintenance, all", "/maintenance/?state=all"),
        Page("planning", f"/maintenance/new/?site={objects.site}"),
        Page("agents", "/agents/"),
        Page("webhooks", "/webhooks/"),
        Page("webhook delivery", f"/webhooks/{objects.delivery}/"),
    ]


def admin_pages(objects: SampleObjects, *, last: int) -> list[Page]:
    """Lists of the admin over its largest tables, with the last page of the largest, and its largest form."""
    kinds = ("inventory/interface", "inventory/device", "incidents/incident", "audit/record")
    lists = [Page(f"admin {kind}", f"/admin/{kind}/") for kind in kinds]
    lists += [Page("audit log", "/audit/"), Page("logins", "/logins/")]
    interfaces = "/admin/inventory/interface/"
    return [
        *lists,
        Page("admin, last page", f"{interfaces}?p={last}"),
        Page("admin, filtered", f"{interfaces}?disabled__exact=1"),
        Page("admin, by name", f"{interfaces}?o=1"),
        Page("admin, by device", f"{interfaces}?o=2"),
        Page("admin, by time read", f"{interfaces}?o=-7"),
        Page("admin, searched", f"{interfaces}?q=acc1-mad01"),
        Page("admin, searched for nothing", f"{interfaces}?q=nowhere"),
        Page("admin device", f"/admin/inventory/device/{objects.device}/change/"),
    ]


def api_lists(objects: SampleObjects) -> list[Page]:
    """The lists that programs page through."""
    names = (
        *("sites", "devices", "interfaces", "links", "bgp-peers", "ospf-neighbors", "services"),
        *("probe-targets", "incidents", "alerts", "agents", "webhook-deliveries"),
    )
    pages = [Page(f"api {name}", f"/api/v1/{name}/", is_api=True) for name in names]
    of_device = f"/api/v1/devices/{objects.device}/interfaces/"
    return [*pages, Page("api device's interfaces", of_device, is_api=True)]


def bench_pages(options: BenchOptions) -> Sequence[Figure]:
    """Time, size and queries of each page; the paint of the home in a browser where there is one."""
    with collected_files() as home, scratch_database("pages") as database:
        at = clock.now().replace(microsecond=0)
        prepare_partitions(at)
        seeded_tenants = seed_demo(
            size=SIZE, seed=options.seed, password=str(options.seed) * 12, at=at, echo=options.echo
        )
        tenant = seeded_tenants[0].tenant
        if seeded_tenants[0].devices != SIZES[SIZE].devices:
            raise WrongResult("The seeded network has the wrong size.")
        return list(_measure(tenant, database, home, options))


def _measure(tenant: Tenant, database: str, home: Path, options: BenchOptions) -> Iterator[Figure]:
    noc, admin = (
        User.objects.get(email=f"{name}@{SIZES[SIZE].domain}") for name in ("noc", "admin")
    )
    _, token = issue_token(
        tenant=tenant, user=noc, name="bench", actor=SEEDER, at=clock.now(), days=1
    )
    with acting_in(tenant):
        objects = largest_objects()
    with web_process(database, home) as served:
        for user, pages in (
            (noc, html_pages(objects)),
            (admin, admin_pages(objects, last=LAST_PAGE)),
        ):
            client = _signed_in(user)
            browser = HttpClient(served.port, {"Cookie": session_cookie(user)})
            for page in pages:
                queries = queries_of(client, page, {})
                yield from _figures(page, served, browser, queries, options.rounds)
        bearer = {"Authorization": f"Bearer {token}"}
        program = HttpClient(served.port, bearer)
        for page in api_lists(objects):
            queries = queries_of(_caller(), page, bearer)
            yield from _figures(page, served, program, queries, options.rounds)
        cookies = {name: morsel.value for name, morsel in _signed_in(noc).cookies.items()}
        yield from first_paint(served.port, cookies, rounds=options.rounds, most=PAINT_MS)


def _caller() -> Client:
    """A client with an allowed Host header."""
    return Client(SERVER_NAME=settings.ALLOWED_HOSTS[0])


def _signed_in(user: User) -> Client:
    client = _caller()
    client.force_login(user)
    return client


def session_cookie(user: User) -> str:
    """The Cookie header of a browser session of this user."""
    cookies = _signed_in(user).cookies
    return "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())


def largest_objects() -> SampleObjects:
    """The largest object of each kind in this tenant."""
    incident = Incident.objects.filter(status="open").order_by("-devices_affected", "-pk")[0]
    device = Device.objects.filter(role="core").order_by("name")[0]
    if not Interface.objects.filter(device=device).exists():
        raise WrongResult("The core routers have no interface.")
    site = Site.objects.order_by("name")[0]
    delivery = Delivery.objects.order_by("-created_at")[0]
    return SampleObjects(device.pk, site.pk, incident.pk, delivery.pk)


def queries_of(client: Client, page: Page, headers: dict[str, str]) -> int:
    """The number of database queries of a page at its second request. Raises WrongResult."""
    client.get(page.path, headers=headers)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(page.path, headers=headers)
    if answer.status_code != 200:
        raise WrongResult(f"{page.path} answered {answer.status_code}.")
    return len(captured)


def _figures(
    page: Page, served: WebProcess, client: HttpClient, queries: int, rounds: int
) -> Iterator[Figure]:
    client.get(page.path)  # the first one compiles templates
    taken, size, before = [], 0, served.cpu_milliseconds()
    for _ in range(rounds * PER_ROUND):
        answer = client.get(page.path)
        if answer.status != 200:
            raise WrongResult(f"{page.path} answered {answer.status}.")
        taken.append(answer.milliseconds)
        size = len(answer.body)
    cpu_milliseconds = sum(
        ms - before.get(pid, 0) for pid, ms in served.cpu_milliseconds().items()
    ) / len(taken)
    goal = API_MS if page.is_api else PAGE_MS
    yield Figure(f"{page.name} p50", median(taken), "ms")
    yield Figure(f"{page.name} p95", quantiles(taken, n=20)[-1], "ms", goal)
    yield Figure(f"{page.name} computed", cpu_milliseconds, "ms")
    is_page = not (page.is_api or page.is_data)
    yield Figure(f"{page.name} size", size / KB, "kB", PAGE_KB if is_page else None)
    yield Figure(f"{page.name} queries", queries, "")
