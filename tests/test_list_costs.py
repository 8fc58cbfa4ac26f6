"""Every list costs the same queries for one row and for twenty."""

from datetime import timedelta

import pytest

from apps.agents.models import Agent
from apps.agents.services import create_agent
from apps.diagnostics.models import ConnectionTest
from apps.inventory import services as inventory
from apps.inventory.models import BgpPeer, Device, Interface, OspfNeighbor, Site
from apps.maintenance.services import plan_window
from apps.tenancy import acting_in
from apps.topology.services import create_dependency_group
from apps.vault.services import store_credential_set
from apps.webhooks.services import create_endpoint
from tests.clients import bearer, listed, queries
from tests.inventory.factories import ACTOR, AT, make_device, make_link, make_site

pytestmark = pytest.mark.django_db

WHO = {"actor": ACTOR, "at": AT}


def site(n: int) -> None:
    make_site(f"site{n}")


def device(n: int) -> Device:
    return make_device(
        f"r{n}",
        site=Site.objects.filter(name=f"site{n}").first() or make_site(f"site{n}"),
        management_address=f"127.20.1.{n + 1}",
    )


def interface(n: int) -> None:
    Interface.objects.create(device=device(n), name=f"ether{n}", source="discovered")


def interface_of_one(n: int) -> None:
    the_one = Device.objects.first() or device(0)
    Interface.objects.create(device=the_one, name=f"ether{n}", source="discovered")


def link(n: int) -> None:
    make_link(device(2 * n), device(2 * n + 1))


def bgp_peer(n: int) -> None:
    BgpPeer.objects.create(
        device=device(n), remote_address=f"10.0.0.{n + 1}", remote_as=65_000, source="operator"
    )


def ospf_neighbor(n: int) -> None:
    OspfNeighbor.objects.create(
        device=device(n), router_id=f"10.0.0.{n + 1}", area="0", source="operator"
    )


def probe_target(n: int) -> None:
    inventory.create_probe_target(
        name=f"probe{n}", device=device(n), method="tcp", address="127.0.0.1", port=80, **WHO
    )


def service(n: int) -> None:
    inventory.create_service(name=f"service{n}", kind="pppoe", device=device(n), **WHO)


def agent(n: int) -> None:
    create_agent(name=f"agent{n}", site=device(n).site, **WHO)


def endpoint(n: int) -> None:
    create_endpoint(name=f"hook{n}", url="https://hook.example.net/x", **WHO)


def credential_set(n: int) -> None:
    store_credential_set(name=f"login{n}", username="mon", secret="s3cret", **WHO)


def dependency_group(n: int) -> None:
    members = [("device", device(2 * n).id)]
    dependent = ("device", device(2 * n + 1).id)
    create_dependency_group(
        dependent=dependent, mode="any", members=members, k=None, note="", **WHO
    )


def connection_test(n: int) -> None:
    agent(n)
    ConnectionTest.objects.create(
        device=Device.objects.get(name=f"r{n}"),
        agent=Agent.objects.get(name=f"agent{n}"),
        requested_by={},
        requested_at=AT,
        expires_at=AT,
    )


def maintenance_window(n: int) -> None:
    plan_window(
        title=f"works {n}",
        starts_at=AT,
        ends_at=AT + timedelta(hours=1),
        device_ids=[device(n).id],
        **WHO,
    )


LISTS = {
    "sites": site,
    "devices": device,
    "interfaces": interface,
    "devices/{device}/interfaces": interface_of_one,
    "links": link,
    "bgp-peers": bgp_peer,
    "ospf-neighbors": ospf_neighbor,
    "probe-targets": probe_target,
    "services": service,
    "agents": agent,
    "webhook-endpoints": endpoint,
    "credential-sets": credential_set,
    "diagnostics/connection-tests": connection_test,
    "topology/dependency-groups": dependency_group,
    "maintenance-windows": maintenance_window,
}


@pytest.mark.parametrize(("name", "make"), LISTS.items(), ids=LISTS)
def test_query_count_is_equal_for_1_and_20_rows(acme, acme_admin, name, make):
    client = bearer(acme, acme_admin)
    with acting_in(acme):
        make(0)
        one = Device.objects.first()
    path = f"/api/v1/{name.format(device=one and one.id)}/"
    assert len(listed(client, path)) >= 1
    few = queries(lambda: listed(client, path))
    with acting_in(acme):
        for n in range(1, 20):
            make(n)

    assert queries(lambda: listed(client, path)) == few
    assert len(listed(client, path)) >= 20
