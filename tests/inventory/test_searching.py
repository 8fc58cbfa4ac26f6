"""The search finds what an operator pastes (case 20 of the faults)."""

import json
from pathlib import Path

import pytest

from apps.inventory.models import Device, Interface, Site
from apps.inventory.searching import search_devices, search_interfaces, search_sites
from apps.tenancy import acting_in
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db

CASE = Path(__file__).parents[3] / "shared" / "cases" / "faults" / "20_search.json"


@pytest.fixture
def network(in_acme):
    site = make_site("São João / Pfaffenstraße")
    router = make_device("rtr-gießen-01", site=site, management_address="2001:db8:0:12::1")
    Device.objects.filter(pk=router.pk).update(serial="HE908AF21XY")
    Interface.objects.create(
        device=router,
        name="sfp-sfpplus1",
        mac_address="DC:2C:6E:11:22:33",
        comment="Kunde 4711 Müller GmbH",
    )
    make_device("İzmir-POP", site=make_site("plain"), management_address="10.20.30.40")
    for number in range(5):
        other = make_device(
            f"cr{number}", site=make_site(f"hub{number}"), management_address=f"10.9.8.{number}"
        )
        Interface.objects.create(
            device=other, name="ether1", mac_address=f"00:0C:42:00:00:0{number}"
        )


def found(text: str) -> set[str]:
    """The names of everything that a search finds."""
    devices = Device.objects.all()
    return {
        *(row.name for row in search_devices(devices, text)),
        *(f"{row.device.name} {row.name}" for row in search_interfaces(devices, text)),
        *(row.name for row in search_sites(Site.objects.all(), text)),
    }


GIESSEN, IZMIR = "rtr-gießen-01", "İzmir-POP"
PORT = "rtr-gießen-01 sfp-sfpplus1"
SAO = "São João / Pfaffenstraße"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sao", {SAO}),
        ("sao joao", {SAO}),
        ("PFAFFENSTRASSE", {SAO}),
        ("pfaffenstraße", {SAO}),
        ("GIESSEN", {GIESSEN}),
        ("giessen", {GIESSEN}),
        ("Gießen", {GIESSEN}),
        ("izmir", {IZMIR}),
        ("IZMIR", {IZMIR}),
        ("İzmir", {IZMIR}),
        ("2001:DB8:0:12::1", {GIESSEN}),
        ("2001:0db8:0000:0012:0000:0000:0000:0001", {GIESSEN}),
        ("2001:db8:0:12:0:0:0:1", {GIESSEN}),
        ("[2001:db8:0:12::1]:8728", {GIESSEN}),
        ("2001:db8:0:12::1/64", {GIESSEN}),
        ("30.40", {IZMIR}),
        ("10.20.30.40/24", {IZMIR}),
        ("10.20.30.40:8728", {IZMIR}),
        (" 10.20.30.40 ", {IZMIR}),
        ("HE908AF21XY", {GIESSEN}),
        ("he908af", {GIESSEN}),
        ("DC:2C:6E:11:22:33", {PORT}),
        ("dc2c6e112233", {PORT}),
        ("dc2c.6e11.2233", {PORT}),
        ("DC-2C-6E", {PORT}),
        ("112233", {PORT}),
        ("4711", {PORT}),
        ("muller gmbh", {PORT}),
        ("sfp-sfpplus1", {PORT}),
        ("nothing like this", set()),
        ("dead:beef", set()),
        ("%", set()),
        ("_", set()),
    ],
)
def test_finds_exactly_it(network, text, expected):
    assert found(text) == expected


@pytest.mark.skipif(not CASE.exists(), reason="the shared cases are not part of the project")
def test_finds_everything_of_case_20(network):
    wanted = json.loads(CASE.read_text(encoding="utf-8"))["must_find"]

    assert [text for text in wanted if not found(text)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("ŒUVRE", "oeuvre"),
        ("Đà Nẵng", "da nang"),
        ("ﬁbre", "fibre"),
        ("naïve café", "NAIVE CAFE"),
        ("Diyarbak\N{LATIN SMALL LETTER DOTLESS I}r", "diyarbakir"),
        ("Москва", "Москва"),
        ("القاهرة", "القاهرة"),
        ("100 % fibre", "% f"),
        ("a_b", "_b"),
    ],
)
def test_names_of_the_world_are_found(in_acme, name, text):
    make_site(name)

    assert found(text) == {name}
    assert found(name) == {name}


def test_nothing_of_another_tenant_is_found(network, globex):
    with acting_in(globex):
        assert found("giessen") == set()
