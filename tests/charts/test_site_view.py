"""The topology by site: the database counts what the view by device would show."""

from collections import Counter
from datetime import timedelta

import pytest

from apps.accounts.models import Membership
from apps.accounts.selectors import access_for_user
from apps.charts.site_view import by_site, looks_by_site, ranks_by_site
from apps.charts.topology_view import Overlay, device_looks
from apps.core import clock
from apps.inventory.models import Device, Link, Site
from apps.inventory.services import grant
from apps.telemetry import store
from apps.telemetry.reachability import BLIND_AFTER
from apps.telemetry.store import Sample, SeriesKey
from apps.topology.selectors import links_between_sites, network_map
from tests.inventory.factories import ACTOR, make_device, make_link, make_site

pytestmark = pytest.mark.django_db

NO_INCIDENT = Overlay()
#: Name, site, role, what it answered and how long ago.
ROUTERS = (
    ("cr1", "hub", "core", 1.0, 0),
    ("cr2", "hub", "core", 0.0, 0),
    ("ag1", "north", "agg", 1.0, BLIND_AFTER.total_seconds() + 1),
    ("ac1", "north", "access", 1.0, 0),
    ("ac2", "south", "access", None, 0),
)
LINKS = (
    *(("cr1", "cr2"), ("cr1", "ag1"), ("cr2", "ag1"), ("ag1", "ac1"), ("ac1", "ac2")),
    ("cr1", None),
)


@pytest.fixture
def network(in_acme) -> dict[str, Device]:
    at, created = clock.now(), {}
    for n, (name, site, role, value, ago) in enumerate(ROUTERS, start=1):
        site_row = Site.objects.filter(name=site).first() or make_site(site)
        created[name] = make_device(
            name, site=site_row, role=role, management_address=f"127.20.0.{n}"
        )
        if value is not None:
            key = SeriesKey("device", created[name].id, "device.up")
            sample = Sample(key, at - timedelta(seconds=ago), value)
            store.write_batch(samples=[sample], received_at=at)
    for near, far in LINKS:
        make_link(created[near], created[far] if far else None)
    return created


def incident_devices(looks) -> dict[str, Counter[str]]:
    names = dict(Site.objects.values_list("pk", "name"))
    return {names[pk]: +counted for pk, counted in looks.items()}


def ends_of(links) -> dict[str, tuple[str, str]]:
    names = dict(Site.objects.values_list("pk", "name"))
    return {link.name: (names[link.a_id], names[link.z_id]) for link in links}


def test_routers_of_each_site_are_counted_by_look(network):
    assert incident_devices(looks_by_site(Device.objects.all(), NO_INCIDENT, clock.now())) == {
        "hub": Counter(ok=1, critical=1),
        "north": Counter(ok=1, blind=1),
        "south": Counter(unknown=1),
    }


@pytest.mark.parametrize(
    ("roots", "suppressed"),
    [((), ("ac1", "ac2")), (("ag1",), ("ac1", "ac2")), (("cr2",), ("ag1",)), (("cr1", "cr2"), ())],
)
def test_an_incident_moves_its_routers_and_no_others(network, roots, suppressed):
    at = clock.now()
    overlay = Overlay(
        frozenset(network[name].id for name in roots),
        frozenset(network[name].id for name in suppressed),
    )
    one_by_one: dict = {}
    looks = device_looks(at, [row.id for row in network.values()])
    for row in network.values():
        counted = one_by_one.setdefault(row.site_id, Counter())
        counted[overlay.look(row.id, looks[row.id])] += 1

    assert incident_devices(looks_by_site(Device.objects.all(), overlay, at)) == incident_devices(
        one_by_one
    )


def test_the_layer_of_a_site_is_that_of_its_innermost_router(network):
    names = dict(Site.objects.values_list("pk", "name"))

    ranks = {names[pk]: rank for pk, rank in ranks_by_site(Device.objects.all()).items()}

    assert ranks["hub"] < ranks["north"] < ranks["south"]


def test_links_between_sites_are_those_of_all_routers(acme_noc, network):
    access = access_for_user(acme_noc, acme_noc.memberships.get().tenant_id)

    joined = links_between_sites(access)

    assert joined == network_map(access).between_sites()
    assert ends_of(joined) == {
        "cr1-ag1": ("hub", "north"),
        "cr2-ag1": ("hub", "north"),
        "ac1-ac2": ("north", "south"),
    }


def test_of_one_role_both_ends_have_it(acme_noc, network):
    assert set(
        ends_of(
            links_between_sites(
                access_for_user(acme_noc, acme_noc.memberships.get().tenant_id), role="access"
            )
        )
    ) == {"ac1-ac2"}


@pytest.mark.parametrize(
    ("granted", "links"),
    [((), set()), (("ac1",), set()), (("ac1", "ac2"), {"ac1-ac2"}), (("cr1", "cr2"), set())],
)
def test_a_limited_member_sees_a_link_with_both_its_ends(acme_noc, network, granted, links):
    Membership.objects.filter(user=acme_noc).update(is_limited=True)
    for name in granted:
        grant(user_id=acme_noc.id, row=network[name], actor=ACTOR, at=clock.now())

    assert (
        set(
            ends_of(
                links_between_sites(access_for_user(acme_noc, acme_noc.memberships.get().tenant_id))
            )
        )
        == links
    )


def test_no_edge_ends_at_a_missing_site(acme_noc, network):
    access, at = access_for_user(acme_noc, acme_noc.memberships.get().tenant_id), clock.now()
    seen = {row.pk: row.name for row in Site.objects.exclude(name="south")}

    shown = by_site(
        looks_by_site(Device.objects.all(), NO_INCIDENT, at),
        links_between_sites(access),
        ranks=ranks_by_site(Device.objects.all()),
        link_looks={},
        sites=seen,
        overlay=NO_INCIDENT,
        address="/sites/{id}/",
    )

    assert {node.label: node.look for node in shown.nodes} == {"hub": "warn", "north": "blind"}
    known = {node.id for node in shown.nodes}
    assert [(edge.label, {edge.source, edge.target} <= known) for edge in shown.edges] == [
        ("2", True)
    ]


@pytest.mark.parametrize("with_incident", [False, True])
def test_the_query_count_does_not_grow_with_sites(
    network, acme_noc, django_assert_num_queries, with_incident
):
    roots = frozenset(row.id for row in network.values()) if with_incident else frozenset()
    access = access_for_user(acme_noc, acme_noc.memberships.get().tenant_id)

    with django_assert_num_queries(5 if with_incident else 3):
        looks_by_site(Device.objects.all(), Overlay(roots), clock.now())
        ranks_by_site(Device.objects.all())
        links_between_sites(access)

    assert Link.objects.count() == len(LINKS)
