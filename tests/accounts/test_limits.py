"""Limited members see granted objects and what is below them; all others are indistinguishable from absent ones."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import Membership
from apps.authorization.choices import Role
from apps.authorization.limits import rows_within
from apps.authorization.permissions import LIMITED_PERMISSIONS
from apps.core import clock
from apps.core.errors import NotVisible
from apps.inventory import services
from apps.inventory.models import DeviceGrant, Interface
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in
from apps.tenancy.models import TenantModel
from tests.accounts.test_matrix import ask, outcome  # noqa: F401
from tests.clients import bearer, listed, problem, queries
from tests.incidents.monitored_network import CUT_OFF_ROUTERS, MonitoredNetwork
from tests.inventory.factories import ACTOR, AT, make_device, make_link, make_site

pytestmark = pytest.mark.django_db

WHO = {"actor": ACTOR, "at": AT}
BELOW = ("interfaces", "bgp-peers", "ospf-neighbors", "probe-targets", "services")


def create_device_objects(device, number: int) -> dict[str, object]:
    """One row of each kind that belongs to a device."""
    port = Interface.objects.create(device=device, name="ether1", source="discovered")
    address = f"10.0.{number}.1"
    return {
        "devices": device,
        "interfaces": port,
        "bgp-peers": services.create_bgp_peer(
            device=device, remote_address=address, remote_as=65_001, **WHO
        ),
        "ospf-neighbors": services.create_ospf_neighbor(device=device, router_id=address, **WHO),
        "probe-targets": services.create_probe_target(
            name=f"p{number}", device=device, method="tcp", address=address, port=80, **WHO
        ),
        "services": services.create_service(name=f"s{number}", kind="pppoe", device=device, **WHO),
    }


@pytest.fixture
def network(acme) -> dict[str, dict[str, object]]:
    """Two sites: two routers at the first, one at the second; the routers in a row."""
    with acting_in(acme):
        north, south = make_site("north"), make_site("south")
        rows = {}
        for number, (name, site) in enumerate((("n1", north), ("n2", north), ("s1", south))):
            device = make_device(name, site=site, management_address=f"127.20.3.{number + 1}")
            rows[name] = create_device_objects(device, number)
        n1, n2, s1 = (rows[name]["devices"] for name in ("n1", "n2", "s1"))
        rows["links"] = {"n1-n2": make_link(n1, n2), "n2-s1": make_link(n2, s1)}
        rows["sites"] = {"north": north, "south": south}
    return rows


@pytest.fixture
def limited(acme, acme_noc):
    Membership.objects.filter(user=acme_noc).update(is_limited=True)
    return bearer(acme, acme_noc)


def give(tenant, user, row) -> None:
    with acting_in(tenant):
        services.grant(user_id=user.id, row=row, **WHO)


def ids(client, path: str) -> set[str]:
    return {row["id"] for row in listed(client, f"/api/v1/{path}/")}


class TestInheritance:
    def test_without_a_grant_nothing_is_visible(self, limited, network):
        for path in ("sites", "devices", "links", *BELOW, "alerts", "incidents"):
            assert ids(limited, path) == set(), path

    def test_a_device_grant_includes_its_objects(self, acme, acme_noc, limited, network):
        give(acme, acme_noc, network["n1"]["devices"])

        for path in ("devices", *BELOW):
            assert ids(limited, path) == {str(network["n1"][path].pk)}, path
        assert ids(limited, "sites") == set()
        assert ids(limited, "links") == {str(network["links"]["n1-n2"].pk)}

    def test_a_site_grant_includes_its_devices(self, acme, acme_noc, limited, network):
        give(acme, acme_noc, network["sites"]["north"])

        assert ids(limited, "sites") == {str(network["sites"]["north"].pk)}
        for path in ("devices", *BELOW):
            assert ids(limited, path) == {str(network[n][path].pk) for n in ("n1", "n2")}, path
        assert len(ids(limited, "links")) == 2

    def test_objects_outside_the_grant_are_not_found(self, acme, acme_noc, limited, network):
        give(acme, acme_noc, network["n1"]["devices"])

        for path in ("devices", *BELOW):
            own, outside, absent = (
                limited.get(f"/api/v1/{path}/{pk}/")
                for pk in (network["n1"][path].pk, network["s1"][path].pk, uuid4())
            )
            assert own.status_code == 200
            assert outcome(outside) == outcome(absent)
            assert outside.status_code == 404

    def test_filters_do_not_reveal_objects_outside_the_grant(
        self, acme, acme_noc, limited, network
    ):
        give(acme, acme_noc, network["n1"]["devices"])

        outside = network["s1"]["devices"].pk
        assert listed(limited, f"/api/v1/interfaces/?device={outside}") == []
        assert limited.get(f"/api/v1/devices/{outside}/interfaces/").status_code == 404

    def test_a_revoked_grant_takes_effect_on_the_next_request(
        self, acme, acme_noc, limited, network
    ):
        give(acme, acme_noc, network["n1"]["devices"])
        assert len(ids(limited, "devices")) == 1
        with acting_in(acme):
            services.revoke_grant(grant=DeviceGrant.objects.get(), **WHO)

        assert ids(limited, "devices") == set()

    def test_a_grant_has_no_effect_without_a_limit(self, acme, acme_readonly, network):
        give(acme, acme_readonly, network["n1"]["devices"])

        assert len(ids(bearer(acme, acme_readonly), "devices")) == 3

    def test_tenant_wide_endpoints_are_forbidden_to_limited_members(self, limited):
        for path in ("topology/graph", "agents", "users", "webhook-endpoints", "memberships"):
            assert problem(limited.get(f"/api/v1/{path}/"))[0] == 403, path
        assert set(limited.get("/api/v1/me/").json()["permissions"]) <= {
            p.value for p in LIMITED_PERMISSIONS
        }

    def test_query_count_is_the_same_for_one_and_many_grants(
        self, acme, acme_noc, limited, network
    ):
        give(acme, acme_noc, network["n1"]["devices"])
        few = {path: queries(lambda p=path: ids(limited, p)) for path in ("devices", *BELOW)}
        give(acme, acme_noc, network["s1"]["devices"])
        give(acme, acme_noc, network["sites"]["north"])

        assert {path: queries(lambda p=path: ids(limited, p)) for path in few} == few

    def test_newest_values_are_of_visible_devices(self, acme, acme_noc, limited, network):
        now = clock.now()
        with acting_in(acme):
            store.write_batch(
                samples=[
                    Sample(SeriesKey("device", network[n]["devices"].pk, "device.up"), now, 1.0)
                    for n in ("n1", "s1")
                ],
                received_at=now,
            )
        give(acme, acme_noc, network["n1"]["devices"])

        answer = limited.get("/api/v1/metrics/latest/?metric=device.up").json()
        assert [r["entity_id"] for r in answer["results"]] == [str(network["n1"]["devices"].pk)]


class TestGuard:
    def test_a_model_without_a_limit_shows_nothing(self):
        class Unheard(TenantModel):
            class Meta:
                app_label = "tests"
                managed = False

        assert rows_within(Unheard, uuid4()).children == [("pk__in", [])]

    def test_a_grant_ends_with_the_membership(self, acme, acme_noc, network):
        give(acme, acme_noc, network["n1"]["devices"])
        Membership.objects.filter(user=acme_noc).delete()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

        with acting_in(acme):
            assert not DeviceGrant.objects.exists()

    def test_non_members_cannot_be_granted_objects(self, acme, globex_noc, network):
        with acting_in(acme), pytest.raises(NotVisible):
            services.grant(user_id=globex_noc.id, row=network["n1"]["devices"], **WHO)

    def test_the_database_refuses_grants_to_non_members(self, acme, acme_noc, globex_noc, network):
        give(acme, acme_noc, network["n1"]["devices"])

        with (
            acting_in(acme),
            pytest.raises(IntegrityError, match="member_fk"),
            transaction.atomic(),
        ):
            DeviceGrant.objects.update(user=globex_noc)


class TestIncidents:
    """The backhaul of a PoP is cut: the cause is a link of the core, the PoP's routers are behind it."""

    @pytest.fixture
    def stage(self, acme) -> MonitoredNetwork:
        return MonitoredNetwork(acme)

    def test_incidents_of_granted_devices_hide_other_devices(self, acme, acme_noc, limited, stage):
        incident = stage.open_incident()
        give(acme, acme_noc, stage.devices[CUT_OFF_ROUTERS[1]])
        url = f"/api/v1/incidents/{incident.id}/"

        (row,) = listed(limited, "/api/v1/incidents/")
        detail = limited.get(url)

        outside = [n for n in stage.devices if n != CUT_OFF_ROUTERS[1]]
        for text in (str(row), detail.content.decode()):
            assert not [name for name in outside if name in text]
        assert row["root_cause"]["name"] == ""
        assert row["root_cause"]["entity_id"] is None
        assert row["impact"]["devices_affected"] == incident.devices_affected
        assert limited.get(f"{url}impact/").json()["devices"] == [
            str(stage.devices[CUT_OFF_ROUTERS[1]].id)
        ]
        assert {a["device_name"] for a in listed(limited, f"{url}suppressed/")} == {
            CUT_OFF_ROUTERS[1]
        }
        suppressed = limited.get(f"{url}suppressed/").content.decode()
        assert not [name for name in outside if name in suppressed]
        assert str(stage.devices[CUT_OFF_ROUTERS[0]].id) not in suppressed
        for part in ("timeline", "evidence", "revisions"):
            assert problem(limited.get(f"{url}{part}/")) == (403, "outside_grant")
        acked = limited.post(f"{url}ack/", {})
        assert acked.status_code == 200
        assert not [name for name in outside if name in acked.content.decode()]

    def test_alerts_are_those_of_granted_routers(self, acme, acme_noc, limited, stage):
        stage.open_incident()
        give(acme, acme_noc, stage.devices[CUT_OFF_ROUTERS[1]])

        alerts = listed(limited, "/api/v1/alerts/")

        assert alerts
        assert {a["entity"]["id"] for a in alerts} == {str(stage.devices[CUT_OFF_ROUTERS[1]].id)}

    def test_incidents_without_granted_devices_are_not_found(self, acme, acme_noc, limited, stage):
        incident = stage.open_incident()
        give(acme, acme_noc, stage.devices["er1"])

        assert listed(limited, "/api/v1/incidents/") == []
        assert outcome(limited.get(f"/api/v1/incidents/{incident.id}/")) == outcome(
            limited.get(f"/api/v1/incidents/{uuid4()}/")
        )

    def test_incidents_with_only_granted_devices_are_complete(self, acme, acme_noc, limited, stage):
        incident = stage.open_incident()
        for site in {d.site_id: d.site for d in stage.devices.values()}.values():
            give(acme, acme_noc, site)

        answer = limited.get(f"/api/v1/incidents/{incident.id}/")

        assert answer.json()["root_cause"]["name"] == "cr2-agg1"
        assert answer.json()["root_causes"]
        assert limited.get(f"/api/v1/incidents/{incident.id}/timeline/").status_code == 200

    def test_pages_apply_the_same_limit(self, acme, acme_noc, limited, stage, client):
        incident = stage.open_incident()
        give(acme, acme_noc, stage.devices[CUT_OFF_ROUTERS[1]])
        client.force_login(acme_noc)

        queue = client.get("/incidents/").content.decode()

        assert f"INC-{incident.number}" in queue or str(incident.id) in queue
        assert not [name for name in stage.devices if name != CUT_OFF_ROUTERS[1] and name in queue]
        detail = client.get(f"/incidents/{incident.id}/").content.decode()
        assert "includes objects that you may not view" in detail
        assert "cr2-agg1</bdi>" not in detail


def test_an_admin_cannot_be_limited(acme, acme_admin):
    member = Membership.objects.get(user=acme_admin)
    url = f"/api/v1/memberships/{member.id}/"

    answer = bearer(acme, acme_admin).patch(url, {"is_limited": True})

    assert problem(answer) == (422, "cannot_be_limited")
    assert Membership.objects.get(pk=member.pk).role == Role.ADMIN
