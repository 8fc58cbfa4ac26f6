"""The console's pages: content, access, query counts."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from apps.agents.models import Agent
from apps.core import clock
from apps.inventory.models import Device, Site
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in
from tests import test_list_costs as rows
from tests.clients import queries
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db

LISTS = ("console:home", "console:devices", "console:sites", "console:alerts", "console:search")
HTMX = {"HX-Request": "true"}


def text_of(answer) -> str:
    """The visible text, with single spaces."""
    body = re.sub(r"<(script|style)[\s\S]*?</\1>|<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", body)


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_tenant_gets_the_next_step(log_in, acme_admin, name):
    answer = log_in(acme_admin).get(reverse(name))

    assert answer.status_code == 200
    assert b"style=" not in answer.content
    assert not re.search(rb"<script(?![^>]*src=)|<[^>]+\son\w+=", answer.content)
    words = {"console:home": "Three steps", "console:devices": "No devices yet"}
    assert words.get(name, "") in text_of(answer)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("role", ["acme_readonly", "acme_auditor", "acme_noc"])
def test_every_role_may_look(log_in, request, name, role):
    assert log_in(request.getfixturevalue(role)).get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_htmx_gets_the_part_alone(log_in, acme_noc, name):
    answer = log_in(acme_noc).get(reverse(name), headers=HTMX)

    assert answer.status_code == 200
    assert b"<html" not in answer.content
    assert "HX-Request" in answer["Vary"]


@pytest.mark.parametrize("name", LISTS)
def test_anonymous_users_are_redirected_to_sign_in(client, name):
    answer = client.get(reverse(name))

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("junk", ["", "x", "-1", "0", "99999999", "٣", "\x00", "x" * 3000])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("console:devices", field) for field in ("q", "site", "role", "state", "page", "sort")),
        *(("console:sites", field) for field in ("q", "state", "page", "sort")),
        *(("console:alerts", field) for field in ("severity", "page", "sort")),
        ("console:search", "q"),
    ],
)
def test_no_query_breaks_a_list(log_in, acme_noc, name, field, junk):
    assert log_in(acme_noc).get(reverse(name), {field: junk}).status_code == 200


@pytest.mark.parametrize("kind", ["device", "site"])
def test_objects_of_other_tenants_are_404(log_in, globex_admin, acme, kind):
    with acting_in(acme):
        row = make_device()
    pk = row.id if kind == "device" else row.site_id

    answer = log_in(globex_admin).get(reverse(f"console:{kind}", args=[pk]))

    assert answer.status_code == 404
    assert b"cr1" not in answer.content


def test_query_count_is_equal_for_1_and_20_rows(log_in, acme, acme_noc):
    client = log_in(acme_noc)
    with acting_in(acme):
        rows.device(0)
    paths = [reverse(name) for name in LISTS[:4]] + [reverse("console:search") + "?q=r"]
    client.get(paths[0])  # the first one of a minute notes that the session was seen
    few = [queries(lambda path=path: client.get(path)) for path in paths]
    with acting_in(acme):
        for n in range(1, 20):
            rows.device(n)

    assert [queries(lambda path=path: client.get(path)) for path in paths] == few
    assert max(few) <= 24


def test_a_device_page_costs_the_same_whatever_sits_on_it(log_in, acme, acme_noc):
    client = log_in(acme_noc)
    with acting_in(acme):
        for n in range(2):
            rows.device(n)
        for make in (rows.interface_of_one, rows.bgp_peer, rows.ospf_neighbor, rows.probe_target):
            make_on_first(make, 0)
        path = reverse("console:device", args=[Device.objects.get(name="r0").id])
    client.get(path)  # the first one of a minute notes that the session was seen
    few = queries(lambda: client.get(path))
    with acting_in(acme):
        for n in range(2, 20):
            rows.interface_of_one(n)

    assert queries(lambda: client.get(path)) == few
    assert few <= 32


def make_on_first(make, n: int) -> None:
    if make is rows.interface_of_one:
        make(n)
        return
    device = Device.objects.get(name="r0")
    if make is rows.bgp_peer:
        device.bgp_peers.create(remote_address="10.0.0.1", remote_as=65_000, source="operator")
    elif make is rows.ospf_neighbor:
        device.ospf_neighbors.create(router_id="10.0.0.1", area="0", source="operator")


def read_up(device: Device, value: float, *, ago: float = 0) -> None:
    at = clock.now() - timedelta(seconds=ago)
    store.write_batch(
        samples=[Sample(SeriesKey("device", device.id, "device.up"), at, value)], received_at=at
    )


@pytest.fixture
def four_states(acme) -> dict[str, Device]:
    """One device each: up, down, blind, unknown."""
    with acting_in(acme):
        site = make_site("hub", code="HUB")
        devices = {
            word: make_device(f"r-{word}", site=site, management_address=f"127.20.7.{n}")
            for n, word in enumerate(("up", "down", "blind", "unknown"), start=1)
        }
        read_up(devices["up"], 1)
        read_up(devices["down"], 0)
        read_up(devices["blind"], 1, ago=300)
    return devices


@pytest.mark.parametrize("word", ["up", "down", "blind", "unknown"])
def test_devices_are_found_by_state(log_in, acme_noc, four_states, word):
    shown = text_of(log_in(acme_noc).get(reverse("console:devices"), {"state": word}))

    assert f"r-{word}" in shown
    assert sum(f"r-{other}" in shown for other in four_states) == 1
    assert "1 to 1 of 1" in shown


def test_devices_are_found_by_address_site_and_role(log_in, acme, acme_noc, four_states):
    client = log_in(acme_noc)
    with acting_in(acme):
        other = make_site("elsewhere")
        make_device("far", site=other, role="bng", management_address="127.21.0.1")
    path = reverse("console:devices")

    for query in ({"q": "127.21"}, {"site": other.id}, {"role": "bng"}, {"q": "FAR"}):
        shown = text_of(client.get(path, query))
        assert "far" in shown
        assert "r-up" not in shown


def test_an_unmonitored_device_is_never_shown_as_up(log_in, acme_noc, four_states):
    path = reverse("console:device", args=[four_states["blind"].id])

    shown = text_of(log_in(acme_noc).get(path))

    assert "Blind for 5 min: this device is not monitored" in shown
    assert "Not probed for 5 min" in shown
    assert "Responding" not in shown


def test_a_site_counts_its_devices(log_in, acme_noc, four_states):
    path = reverse("console:site", args=[four_states["up"].site_id])

    shown = text_of(log_in(acme_noc).get(path))

    assert "1 down" in shown
    assert "1 blind" in shown
    assert all(f"r-{word}" in shown for word in four_states)


def test_lists_are_paged_by_the_server(log_in, acme, acme_noc):
    with acting_in(acme):
        site = make_site()
        Device.objects.bulk_create(
            Device(name=f"d{n:03}", site=site, management_address="127.20.0.1", tenant=acme)
            for n in range(120)
        )
    client = log_in(acme_noc)
    path = reverse("console:devices")

    first, last = text_of(client.get(path)), text_of(client.get(path, {"page": "3"}))

    assert "1 to 50 of 120" in first
    assert "d049" in first
    assert "d050" not in first
    assert "101 to 120 of 120" in last
    assert text_of(client.get(path, {"page": "9999"})).count("d119") == 1


def test_the_search_finds_all_kinds(log_in, acme_noc, four_states):
    client = log_in(acme_noc)

    shown = text_of(client.get(reverse("console:search"), {"q": "hub"}, headers=HTMX))
    assert "hub" in shown
    assert "HUB" in shown
    assert "r-down" in text_of(client.get(reverse("console:search"), {"q": "127.20.7.2"}))
    assert "No results" in text_of(client.get(reverse("console:search"), {"q": "nowhere"}))


@pytest.mark.usefixtures("_now")
def test_the_home_shows_the_incident(log_in, stage, acme_noc):
    incident = stage.open_incident()
    client = log_in(acme_noc)

    shown = text_of(client.get(reverse("console:home")))

    assert "1 open incident" in shown
    assert incident.title in shown
    assert "Acknowledge" in shown
    answer = client.post(reverse("incidents:acknowledge", args=[incident.id]), {"next": "/"})
    assert answer["Location"] == "/"
    assert "Acknowledge" not in text_of(client.get(reverse("console:home"), headers=HTMX))


@pytest.mark.parametrize("next_url", ["//evil.example/", "https://evil.example/", "javascript:1"])
@pytest.mark.usefixtures("_now")
def test_acknowledging_leads_nowhere_else(log_in, stage, acme_noc, next_url):
    incident = stage.open_incident()

    path = reverse("incidents:acknowledge", args=[incident.id])
    answer = log_in(acme_noc).post(path, {"next": next_url})

    assert answer["Location"] == reverse("incidents:detail", args=[incident.id])


@pytest.mark.usefixtures("_now")
def test_readers_get_no_actions(log_in, stage, acme_readonly):
    stage.open_incident()

    assert "Acknowledge" not in text_of(
        log_in(acme_readonly).get(reverse("console:home"), headers=HTMX)
    )


@pytest.mark.usefixtures("_now")
def test_alerts_show_value_and_suppression(log_in, stage, acme_noc):
    incident = stage.open_incident()

    shown = text_of(log_in(acme_noc).get(reverse("console:alerts")))

    assert "interface.oper_up = 0" in shown
    assert f"INC-{incident.number}" in shown
    assert "Suppressed" in shown


@pytest.mark.usefixtures("_now")
def test_a_device_behind_the_cause_names_the_incident(log_in, stage, acme_noc):
    incident = stage.open_incident()
    client = log_in(acme_noc)

    behind = text_of(client.get(reverse("console:device", args=[stage.devices["bng1"].id])))
    near = text_of(client.get(reverse("console:device", args=[stage.devices["cr2"].id])))

    assert f"Not responding, caused by INC-{incident.number}" in behind
    assert "to-agg1 to agg1 down" in near
    assert incident.title in near


@pytest.mark.usefixtures("_now")
def test_an_offline_agent_is_shown_on_the_home(log_in, stage, acme, acme_noc):
    stage.poll(0)
    with acting_in(acme):
        Agent.objects.update(last_heartbeat_at=stage.at(-300))

    shown = text_of(log_in(acme_noc).get(reverse("console:home")))

    assert "Agent core is offline: last heartbeat 5 min ago." in shown
    assert "Offline" in shown


def test_quiet_says_since_when(log_in, acme, acme_noc, four_states):
    with acting_in(acme):
        Device.objects.exclude(name="r-up").delete()

    shown = text_of(log_in(acme_noc).get(reverse("console:home")))

    assert "All quiet" in shown
    assert "No incident was ever opened" in shown
    assert Site.objects.count() == 0, "outside of the tenant nothing is there"
