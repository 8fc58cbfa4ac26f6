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
from apps.backoffice.paging import MOST
from apps.core import clock
from apps.incidents.models import Incident
from apps.inventory.models import Device, Interface, Site
from apps.lab.bench.figures import BenchOptions, Figure, WrongResult
from apps.lab.bench.paint import first_paint
from apps.lab.bench.scratch import scratch_database
from apps.lab.bench.serving import Asker, Served, collected_files, web_process
from apps.lab.seed.inventory import SEEDER
from apps.lab.seed.prepare import prepare_partitions
from apps.lab.seed.run import seed_demo
from apps.lab.seed.sizes import SIZES
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.webhooks.models import Delivery

SIZE = "large"
PAGE_MS, API_MS, PAGE_KB, PAINT_MS = 200.0, 50.0, 100.0, 1_000.0
#: Requests per page and round; the slowest of twenty is the 95th percentile of one round.
PER_ROUND = 20
KB = 1_000.0
#: Of a list of the admin: it can be leafed through so far.
LAST_PAGE = MOST // TenantAdmin.list_per_page


@dataclass(frozen=True)
class Page:
    """Something that is asked for by its address."""

    name: str
    path: str
    is_api: bool = False
    #: What a page's script fetches to draw from.
    is_data: bool = False


@dataclass(frozen=True)
class Places:
    """The heaviest of each kind, to ask for."""

    device: object
    site: object
    incident: object
    delivery: object


def html_pages(places: Places) -> list[Page]:
    """Every page that shows a tenant's rows."""
    return [
        Page("home", "/"),
        Page("incidents", "/incidents/"),
        Page("incidents, all", "/incidents/?status=all"),
        Page("incidents, by devices", "/incidents/?status=all&sort=-devices"),
        Page("incident", f"/incidents/{places.incident}/"),
        Page("devices", "/devices/"),
        Page("devices, last page", "/devices/?page=100"),
        Page("devices, searched", "/devices/?q=mad"),
        Page("devices, down", "/devices/?state=down"),
        Page("devices, by state", "/devices/?sort=state"),
        Page("devices, by time read", "/devices/?sort=-read"),
        Page("devices, by alerts", "/devices/?sort=-alerts"),
        Page("device", f"/devices/{places.device}/"),
        Page("device, its login", f"/devices/{places.device}/login/"),
        Page("sites", "/sites/"),
        Page("site", f"/sites/{places.site}/"),
        Page("sites, by devices", "/sites/?sort=-devices"),
        Page("alerts", "/alerts/"),
        Page("search", "/search/?q=cr1"),
        Page("incidents, mine and critical", "/incidents/?owner=me&severity=critical"),
        Page("map", "/map/"),
        Page("map, its sites", "/map/data/", is_data=True),
        Page("topology", "/topology/"),
        Page("topology, its sites", "/topology/data/", is_data=True),
        Page("topology, one site", f"/topology/data/?site={places.site}", is_data=True),
        Page("incident, its chart", f"/incidents/{places.incident}/series/", is_data=True),
        Page("incident, its graph", f"/incidents/{places.incident}/impact-graph/", is_data=True),
        Page("device, its charts", f"/devices/{places.device}/series/?range=24h", is_data=True),
        Page("maintenance", "/maintenance/"),
        Page("maintenance, all", "/maintenance/?state=all"),
        Page("planning", f"/maintenance/new/?site={places.site}"),
        Page("agents", "/agents/"),
        Page("webhooks", "/webhooks/"),
        Page("webhook delivery", f"/webhooks/{places.delivery}/"),
    ]


def admin_pages(places: Places, *, last: int) -> list[Page]:
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
        Page("admin device", f"/admin/inventory/device/{places.device}/change/"),
    ]


def api_lists(places: Places) -> list[Page]:
    """The lists that programs page through."""
    names = (
        *("sites", "devices", "interfaces", "links", "bgp-peers", "ospf-neighbors", "services"),
        *("probe-targets", "incidents", "alerts", "agents", "webhook-deliveries"),
    )
    pages = [Page(f"api {name}", f"/api/v1/{name}/", is_api=True) for name in names]
    of_device = f"/api/v1/devices/{places.device}/interfaces/"
    return [*pages, Page("api device's interfaces", of_device, is_api=True)]


def bench_pages(options: BenchOptions) -> Sequence[Figure]:
    """Time, size and queries of each page; the paint of the home in a browser where there is one."""
    with collected_files() as home, scratch_database("pages") as database:
        at = clock.now().replace(microsecond=0)
        prepare_partitions(at)
        seeded_tenants = seed_demo(
            size=SIZE, seed=options.seed, password=str(options.seed) * 12, at=at, say=options.say
        )
        tenant = seeded_tenants[0].tenant
        if seeded_tenants[0].devices != SIZES[SIZE].devices:
            raise WrongResult("The seed did not make the network that it should.")
        return list(_measure(tenant, database, home, options))


def _measure(tenant: Tenant, database: str, home: Path, options: BenchOptions) -> Iterator[Figure]:
    noc, admin = (
        User.objects.get(email=f"{name}@{SIZES[SIZE].domain}") for name in ("noc", "admin")
    )
    _, token = issue_token(
        tenant=tenant, user=noc, name="bench", actor=SEEDER, at=clock.now(), days=1
    )
    with acting_in(tenant):
        places = heaviest()
    with web_process(database, home) as served:
        for user, pages in (
            (noc, html_pages(places)),
            (admin, admin_pages(places, last=LAST_PAGE)),
        ):
            client = _signed_in(user)
            asker = Asker(served.port, {"Cookie": session_cookie(user)})
            for page in pages:
                queries = queries_of(client, page, {})
                yield from _figures(page, served, asker, queries, options.rounds)
        bearer = {"Authorization": f"Bearer {token}"}
        program = Asker(served.port, bearer)
        for page in api_lists(places):
            queries = queries_of(_caller(), page, bearer)
            yield from _figures(page, served, program, queries, options.rounds)
        cookies = {name: morsel.value for name, morsel in _signed_in(noc).cookies.items()}
        yield from first_paint(served.port, cookies, rounds=options.rounds, most=PAINT_MS)


def _caller() -> Client:
    """By a name that the platform answers to, whatever ``ISPVM_ALLOWED_HOSTS`` says."""
    return Client(SERVER_NAME=settings.ALLOWED_HOSTS[0])


def _signed_in(user: User) -> Client:
    client = _caller()
    client.force_login(user)
    return client


def session_cookie(user: User) -> str:
    """The header of a browser in which this person is signed in."""
    cookies = _signed_in(user).cookies
    return "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())


def heaviest() -> Places:
    """The heaviest of each kind in this tenant."""
    incident = Incident.objects.filter(status="open").order_by("-devices_affected", "-pk")[0]
    device = Device.objects.filter(role="core").order_by("name")[0]
    if not Interface.objects.filter(device=device).exists():
        raise WrongResult("The core routers have no interface.")
    site = Site.objects.order_by("name")[0]
    delivery = Delivery.objects.order_by("-created_at")[0]
    return Places(device.pk, site.pk, incident.pk, delivery.pk)


def queries_of(client: Client, page: Page, headers: dict[str, str]) -> int:
    """How many questions a page asks the database, once it was asked for before. Raises WrongResult."""
    client.get(page.path, headers=headers)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(page.path, headers=headers)
    if answer.status_code != 200:
        raise WrongResult(f"{page.path} answered {answer.status_code}.")
    return len(captured)


def _figures(
    page: Page, served: Served, asker: Asker, queries: int, rounds: int
) -> Iterator[Figure]:
    asker.get(page.path)  # the first one compiles templates
    taken, size, before = [], 0, served.computed()
    for _ in range(rounds * PER_ROUND):
        answer = asker.get(page.path)
        if answer.status != 200:
            raise WrongResult(f"{page.path} answered {answer.status}.")
        taken.append(answer.milliseconds)
        size = len(answer.body)
    computed = sum(ms - before.get(pid, 0) for pid, ms in served.computed().items()) / len(taken)
    goal = API_MS if page.is_api else PAGE_MS
    yield Figure(f"{page.name} p50", median(taken), "ms")
    yield Figure(f"{page.name} p95", quantiles(taken, n=20)[-1], "ms", goal)
    yield Figure(f"{page.name} computed", computed, "ms")
    is_page = not (page.is_api or page.is_data)
    yield Figure(f"{page.name} size", size / KB, "kB", PAGE_KB if is_page else None)
    yield Figure(f"{page.name} queries", queries, "")
