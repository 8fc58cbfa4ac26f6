"""Sorting of lists: on the page, across pages, and in CSV exports."""

import csv
import io
import re
from datetime import timedelta

import pytest
from django.urls import reverse

from apps.accounts.models import Membership
from apps.alerts.models import Alert
from apps.console.web import alerts, device_order, sites
from apps.core import clock
from apps.incidents.lists import INCIDENTS
from apps.incidents.models import Incident
from apps.inventory.models import Device, Site
from apps.pages.csv_export import UTF8_BOM
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in
from tests.accounts import rows
from tests.clients import queries
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db

KEYS_OF_LISTS = {
    **{
        name: [column.key for column in columns if column.can_sort]
        for name, columns in (
            ("console:devices", device_order.COLUMNS),
            ("console:sites", sites.COLUMNS),
            ("console:alerts", alerts.COLUMNS),
        )
    },
    "incidents:list": INCIDENTS.order_keys,
}
ORDERS = [
    (name, f"{sign}{key}")
    for name, keys in KEYS_OF_LISTS.items()
    for key in keys
    for sign in ("", "-")
]
CSV_EXPORTS = {
    "console:devices": "console:devices-csv",
    "console:sites": "console:sites-csv",
    "console:alerts": "console:alerts-csv",
    "incidents:list": "incidents:csv",
}


def csv_rows(answer) -> list[dict[str, str]]:
    """The rows of a file."""
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith(UTF8_BOM)
    return list(csv.DictReader(io.StringIO(text.removeprefix(UTF8_BOM), newline="")))


def names_in(answer, pattern: str) -> list[str]:
    """The rows of a page, in their order."""
    return re.findall(
        pattern, re.sub(r"<head>.*?</head>", "", answer.content.decode(), flags=re.DOTALL)
    )


@pytest.fixture
def network(acme) -> dict[str, Device]:
    """Three routers of three sites; their columns order them differently."""
    at = clock.now()
    created = {}
    with acting_in(acme):
        for name, site, address, version, role, up, ago, uptime in (
            ("a", "Zoo", "10.0.0.9", "7.9 (stable)", "bng", 1.0, 5, 300.0),
            ("b", "Bay", "10.0.0.10", "7.16.2 (stable)", "core", 0.0, 2, 900.0),
            ("c", "Mill", "9.0.0.1", "", "agg", 1.0, 300, 200.0),
        ):
            device = make_device(name, site=make_site(site), management_address=address, role=role)
            Device.objects.filter(pk=device.pk).update(version=version)
            read = at - timedelta(seconds=ago)
            samples = [
                Sample(SeriesKey("device", device.id, metric), read, value)
                for metric, value in (("device.up", up), ("device.uptime_seconds", uptime))
            ]
            store.write_batch(samples=samples, received_at=at)
            created[name] = device
        make_device("d", site=Site.objects.get(name="Zoo"), management_address="10.0.0.11")
    return created


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("", "abcd"),
        ("-name", "dcba"),
        ("state", "bcda"),
        ("-state", "adcb"),
        ("site", "bcad"),
        ("address", "cabd"),
        ("version", "abcd"),
        ("-version", "bacd"),
        ("role", "cabd"),
        ("uptime", "abcd"),
        ("read", "bacd"),
        ("-read", "cabd"),
    ],
)
def test_devices_stand_in_the_order_of_a_column(log_in, acme_noc, network, sort, names):
    client = log_in(acme_noc)

    page = client.get(reverse("console:devices"), {"sort": sort})
    file = csv_rows(client.get(reverse("console:devices-csv"), {"sort": sort}))

    assert "".join(names_in(page, r'<b><bdi dir="ltr">(\w)</bdi></b>')) == names
    assert "".join(row["name"] for row in file) == names


def test_devices_with_the_most_alerts_come_first(log_in, acme, acme_noc, network):
    with acting_in(acme):
        pk = rows.alert()
        Alert.objects.filter(pk=pk).update(entity_id=network["c"].id)
    client = log_in(acme_noc)

    (first, *_) = csv_rows(client.get(reverse("console:devices-csv"), {"sort": "-alerts"}))

    assert (first["name"], first["open_alerts"]) == ("c", "1")


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", ["Bay", "Mill", "Zoo"]),
        ("-name", ["Zoo", "Mill", "Bay"]),
        ("-down", ["Bay", "Mill", "Zoo"]),
        ("-blind", ["Mill", "Bay", "Zoo"]),
        ("-up", ["Zoo", "Bay", "Mill"]),
        ("-devices", ["Zoo", "Bay", "Mill"]),
        ("-unknown", ["Zoo", "Bay", "Mill"]),
    ],
)
def test_sites_stand_in_the_order_of_a_column(log_in, acme_noc, network, sort, names):
    client = log_in(acme_noc)

    page = client.get(reverse("console:sites"), {"sort": sort})

    assert names_in(page, r"<b><bdi>(\w+)</bdi></b>") == names
    file = csv_rows(client.get(reverse("console:sites-csv"), {"sort": sort}))
    assert [row["name"] for row in file] == names


@pytest.mark.parametrize(("name", "sort"), ORDERS)
def test_the_ordered_column_says_so(log_in, acme, acme_noc, network, name, sort):
    with acting_in(acme):
        rows.alert()
        rows.incident()

    answer = log_in(acme_noc).get(reverse(name), {"sort": sort})

    shown = answer.content.decode()
    assert answer.status_code == 200
    if name == "incidents:list":
        return  # no table: its order is a field of the filter
    values = re.findall(r'<th scope="col"[^>]*\saria-sort="(\w+)"', shown)
    assert values == ["descending" if sort.startswith("-") else "ascending"]
    other = sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"
    assert f"sort={other}" in shown


def test_turning_pages_keeps_filter_and_order(log_in, acme, acme_noc):
    with acting_in(acme):
        site = make_site()
        Device.objects.bulk_create(
            Device(name=f"d{n:03}", site=site, management_address="127.20.0.1", role="core")
            for n in range(120)
        )
    client, seen = log_in(acme_noc), []
    query = "q=d&sort=-name"
    for _ in range(3):
        page = client.get(f"{reverse('console:devices')}?{query}")
        seen += names_in(page, r'<b><bdi dir="ltr">(d\d+)</bdi></b>')
        following = re.search(r'rel="next" href="\?([^"]+)"', page.content.decode())
        query = following[1].replace("&amp;", "&") if following else ""

    assert seen == [f"d{n:03}" for n in reversed(range(120))]


@pytest.fixture
def incidents(acme) -> list[Incident]:
    """120 of them, many alike in every column."""
    with acting_in(acme):
        first = Incident.objects.get(pk=rows.incident())
        common = {
            field.attname: getattr(first, field.attname)
            for field in Incident._meta.concrete_fields
            if field.attname not in {"id", "number"}
        }
        created = [
            Incident(
                **{
                    **common,
                    "severity": ("critical", "warn", "info")[n % 3],
                    "sites_affected": n % 4,
                    "devices_affected": n % 7,
                    "subscribers_affected": None if n % 5 == 0 else n % 3,
                },
                number=n,
            )
            for n in range(2, 121)
        ]
        Incident.objects.bulk_create(created)
        return list(Incident.objects.all())


def turned(client, sort: str, between=lambda: None) -> list[int]:
    """Numbers of the queue, page after page."""
    query, seen = f"sort={sort}", []
    while query:
        page = client.get(f"{reverse('incidents:list')}?{query}")
        seen += [int(n) for n in names_in(page, r'<bdi dir="ltr">INC-(\d+)</bdi>\s*</span>')]
        following = re.search(r'href="\?([^"]*after=[^"]+)"', page.content.decode())
        query = following[1].replace("&amp;", "&") if following else ""
        between()
    return seen


KEYS = {
    "number": lambda row: row.number,
    "severity": lambda row: ("critical", "warn", "info").index(row.severity),
    "sites": lambda row: row.sites_affected,
    "devices": lambda row: row.devices_affected,
    "subscribers": lambda row: -1 if row.subscribers_affected is None else row.subscribers_affected,
}


@pytest.mark.parametrize("sort", [f"{sign}{key}" for key in KEYS for sign in ("", "-")])
def test_every_incident_stands_on_exactly_one_page(log_in, acme_noc, incidents, sort):
    key, sign = KEYS[sort.removeprefix("-")], -1 if sort.startswith("-") else 1
    wanted = sorted(incidents, key=lambda row: (sign * key(row), -row.number))

    client = log_in(acme_noc)

    assert turned(client, sort) == [row.number for row in wanted]
    file = csv_rows(client.get(reverse("incidents:csv"), {"sort": sort}))
    assert [int(row["number"]) for row in file] == [row.number for row in wanted]


def test_the_home_shows_the_worst_however_old(log_in, acme_noc, incidents):
    wanted = sorted(incidents, key=lambda row: (KEYS["severity"](row), -row.number))

    page = log_in(acme_noc).get(reverse("console:home"))

    shown = [int(n) for n in names_in(page, r'<bdi dir="ltr">INC-(\d+)</bdi>\s*</span>')]
    assert len(shown) >= 12
    assert shown[:12] == [row.number for row in wanted[:12]]


def test_what_closes_between_two_pages_shifts_nothing(log_in, acme, acme_noc, incidents):
    def close_one() -> None:
        with acting_in(acme):
            first = Incident.objects.filter(status="open").order_by("-sites_affected", "-number")[0]
            Incident.objects.filter(pk=first.pk).update(
                status="closed", ended_at=clock.now(), resolution="operator"
            )

    seen = turned(log_in(acme_noc), "-sites", between=close_one)

    assert sorted(seen) == list(range(1, 121))


@pytest.mark.parametrize("after", ["", "x", "~", "1~", "1~1~1", "9999999999~1", "-~1", "٣~1"])
def test_no_cursor_breaks_the_queue(log_in, acme_noc, incidents, after):
    answer = log_in(acme_noc).get(reverse("incidents:list"), {"after": after})

    assert answer.status_code == 200


class TestCsvExports:
    @pytest.mark.parametrize("name", CSV_EXPORTS.values())
    def test_anonymous_users_are_redirected_to_sign_in(self, client, name):
        assert client.get(reverse(name))["Location"].startswith("/sign-in/")

    @pytest.mark.parametrize("name", CSV_EXPORTS.values())
    def test_rows_of_other_tenants_are_not_exported(
        self, log_in, acme, globex_admin, network, name
    ):
        with acting_in(acme):
            rows.alert()
            rows.incident()

        assert csv_rows(log_in(globex_admin).get(reverse(name))) == []

    @pytest.mark.parametrize("name", CSV_EXPORTS.values())
    def test_a_limited_member_exports_granted_rows_only(
        self, log_in, acme, acme_noc, network, name
    ):
        with acting_in(acme):
            rows.alert()
            rows.incident()
        Membership.objects.filter(user=acme_noc).update(is_limited=True)

        assert csv_rows(log_in(acme_noc).get(reverse(name))) == []

    def test_the_filter_chooses(self, log_in, acme_noc, network):
        answer = log_in(acme_noc).get(reverse("console:devices-csv"), {"state": "down"})

        (row,) = csv_rows(answer)
        assert row["name"] == "b"
        assert row["state"] == "down"
        assert row["site"] == "Bay"
        assert row["role"] == "core"
        assert row["uptime_seconds"] == ""

    def test_the_link_asks_for_the_filter_on_the_screen(self, log_in, acme_noc, network):
        client = log_in(acme_noc)

        shown = client.get(reverse("console:devices"), {"q": "a", "sort": "-name"}).content.decode()

        assert 'href="/devices.csv?q=a&amp;sort=-name"' in shown

    def test_a_name_that_is_a_formula_is_text(self, log_in, acme, acme_noc):
        with acting_in(acme):
            make_site("=cmd|' /C calc'!A0")

        (row,) = csv_rows(log_in(acme_noc).get(reverse("console:sites-csv")))

        assert row["name"] == "'=cmd|' /C calc'!A0"

    def test_a_long_list_is_whole_and_costs_by_its_parts(self, log_in, acme, acme_noc):
        with acting_in(acme):
            site = make_site()
            Device.objects.bulk_create(
                Device(name=f"d{n:04}", site=site, management_address="127.20.0.1", role="core")
                for n in range(1_200)
            )
        client = log_in(acme_noc)
        found: list[dict[str, str]] = []

        cost = queries(lambda: found.extend(csv_rows(client.get(reverse("console:devices-csv")))))

        assert [row["name"] for row in found] == [f"d{n:04}" for n in range(1_200)]
        assert cost <= 60  # three parts of 500
