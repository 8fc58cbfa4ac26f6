import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.services import issue_token
from apps.core import clock
from apps.inventory import services
from apps.inventory.models import Device, Interface, Site
from apps.tenancy import acting_in
from tests.inventory.factories import ACTOR, AT, make_device, make_link, make_site

pytestmark = pytest.mark.django_db
ABSENT = "00000000-0000-4000-8000-000000000000"


def caller(tenant, user) -> APIClient:
    _, text = issue_token(tenant=tenant, user=user, name="test", actor=ACTOR, at=clock.now())
    return APIClient(headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def admin(acme, acme_admin) -> APIClient:
    return caller(acme, acme_admin)


@pytest.fixture
def reader(acme, acme_readonly) -> APIClient:
    return caller(acme, acme_readonly)


def error_fields(answer) -> set[str]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["field"] for error in answer.json()["errors"]}


class TestProvisioning:
    def test_creates_a_network(self, admin):
        site = admin.post("/api/v1/sites/", {"name": "hub", "latitude": 1.5, "longitude": 2}).json()
        login = admin.post(
            "/api/v1/credential-sets/", {"name": "routers", "username": "mon", "secret": "s3cret"}
        ).json()
        ids = [
            admin.post(
                "/api/v1/devices/",
                {
                    "name": name,
                    "site": site["id"],
                    "role": "core",
                    "management_address": address,
                    "credential_set": login["id"],
                    "polling_profile": {"fast_s": 3},
                    "tags": ["ring"],
                },
            ).json()["id"]
            for name, address in (("cr1", "127.20.0.1"), ("cr2", "127.20.0.2"))
        ]
        link = admin.post(
            "/api/v1/links/",
            {
                "name": "cr1-cr2",
                "kind": "ring",
                "a_device": ids[0],
                "a_interface_name": "sfp1",
                "z_device": ids[1],
                "z_interface_name": "sfp1",
                "capacity_bps": 10**10,
            },
        )
        service = admin.post(
            "/api/v1/services/", {"name": "pppoe", "kind": "pppoe", "device": ids[0]}
        )
        probes = admin.post(f"/api/v1/devices/{ids[0]}/default-probe-targets/", {"echo_port": 7007})
        peer = admin.post(
            "/api/v1/bgp-peers/",
            {"device": ids[0], "remote_address": "10.0.0.9", "remote_as": 65009},
        )
        neighbor = admin.post(
            "/api/v1/ospf-neighbors/",
            {"device": ids[0], "router_id": "2.2.2.2", "area": "0", "address": "10.0.0.2"},
        )

        assert [a.status_code for a in (link, service, probes, peer, neighbor)] == [201] * 5
        assert {p["method"] for p in probes.json()} == {"tcp", "udp_echo"}
        assert admin.get(f"/api/v1/devices/{ids[0]}/").json()["polling_profile"] == {"fast_s": 3}
        sessions = admin.get(f"/api/v1/devices/{ids[0]}/bgp-peers/").json()["results"]
        assert [row["remote_as"] for row in sessions] == [65009]
        assert len(admin.get(f"/api/v1/devices/{ids[0]}/ospf-neighbors/").json()["results"]) == 1

    def test_changes_and_deletes_a_link(self, admin, acme):
        with acting_in(acme):
            one, other = make_device("cr1"), make_device("cr2")
            link = make_link(one, other)
        url = f"/api/v1/links/{link.id}/"

        changed = admin.patch(url, {"capacity_bps": 10**9})

        assert (changed.status_code, changed.json()["capacity_bps"]) == (200, 10**9)
        assert admin.delete(url).status_code == 204
        assert admin.get(url).status_code == 404

    def test_changes_and_deletes_a_service(self, admin, acme):
        with acting_in(acme):
            service = services.create_service(
                name="pppoe", kind="pppoe", device=make_device(), actor=ACTOR, at=AT
            )
        url = f"/api/v1/services/{service.id}/"

        assert admin.patch(url, {"name": "homes"}).json()["name"] == "homes"
        assert admin.delete(url).status_code == 204

    def test_an_override_is_listed_in_operator_fields(self, admin, acme):
        with acting_in(acme):
            port = Interface.objects.create(device=make_device(), name="e1", source="discovered")

        changed = admin.patch(f"/api/v1/interfaces/{port.id}/", {"speed_bps": 10**8, "name": "no"})

        assert changed.json()["operator_fields"] == ["speed_bps"]
        assert changed.json()["name"] == "e1"
        assert admin.delete(f"/api/v1/interfaces/{port.id}/").status_code == 204


class TestRefusals:
    def test_errors_name_their_fields(self, admin):
        answer = admin.post(
            "/api/v1/devices/",
            {"name": "", "site": ABSENT, "role": "king", "management_address": "x", "api_port": 0},
        )

        assert error_fields(answer) == {"name", "site", "role", "management_address", "api_port"}

    def test_a_taken_name_is_a_conflict(self, admin):
        admin.post("/api/v1/sites/", {"name": "hub"})

        answer = admin.post("/api/v1/sites/", {"name": "hub"})

        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")

    def test_a_taken_port_is_a_conflict(self, admin, acme):
        with acting_in(acme):
            one, other = make_device("cr1"), make_device("cr2")
            make_link(one, other)

        answer = admin.post(
            "/api/v1/links/",
            {"name": "again", "a_device": str(one.id), "a_interface_name": "to-cr2"},
        )

        assert (answer.status_code, answer.json()["code"]) == (409, "interface_taken")

    def test_a_link_to_itself_is_refused_on_post_and_patch(self, admin, acme):
        with acting_in(acme):
            one, other = make_device("cr1"), make_device("cr2")
            link = make_link(one, other)

        posted = admin.post(
            "/api/v1/links/", {"name": "x", "a_device": str(one.id), "z_device": str(one.id)}
        )
        patched = admin.patch(f"/api/v1/links/{link.id}/", {"z_device": str(one.id)})

        assert error_fields(posted) == error_fields(patched) == {"z_device"}

    def test_a_site_in_use_is_a_conflict_and_not_deleted(self, admin, acme):
        with acting_in(acme):
            site = make_device().site

        answer = admin.delete(f"/api/v1/sites/{site.id}/")

        assert (answer.status_code, answer.json()["code"]) == (409, "in_use")
        assert admin.get(f"/api/v1/sites/{site.id}/").status_code == 200

    def test_read_only_fields_cannot_be_written(self, admin, acme, globex):
        with acting_in(acme):
            device = make_device()
        body = {
            "tenant": str(globex.id),
            "id": ABSENT,
            "source": "discovered",
            "identity": "forged",
            "last_seen_at": "2020-01-01T00:00:00Z",
            "operator_fields": ["name"],
        }

        answer = admin.patch(f"/api/v1/devices/{device.id}/", body)

        assert answer.status_code == 200
        with acting_in(acme):
            row = Device.objects.get()
            assert (row.id, row.tenant_id, row.source) == (device.id, acme.id, "operator")
            assert (row.identity, row.last_seen_at, row.operator_fields) == ("", None, [])

    def test_an_invalid_filter_answers_400(self, admin):
        assert admin.get("/api/v1/devices/?site=nonsense").status_code == 400

    def test_put_is_not_allowed(self, admin, acme):
        with acting_in(acme):
            site = make_site()

        assert admin.put(f"/api/v1/sites/{site.id}/", {"name": "x"}).status_code in {403, 405}


class TestIsolation:
    KINDS = ("sites", "devices", "interfaces", "links", "bgp-peers", "ospf-neighbors",
             "probe-targets", "services")  # fmt: skip

    @pytest.fixture
    def foreign(self, globex) -> dict[str, str]:
        with acting_in(globex):
            device = make_device("theirs")
            rows = {
                "sites": device.site,
                "devices": device,
                "interfaces": Interface.objects.create(device=device, name="e1"),
                "links": make_link(device, None),
                "bgp-peers": services.create_bgp_peer(
                    device=device, remote_address="1.1.1.1", remote_as=1, actor=ACTOR, at=AT
                ),
                "ospf-neighbors": services.create_ospf_neighbor(
                    device=device, router_id="1.1.1.1", area="0", address="", actor=ACTOR, at=AT
                ),
                "probe-targets": services.create_default_probe_targets(
                    device=device, actor=ACTOR, at=AT
                )[0],
                "services": services.ensure_pppoe_service(device=device, actor=ACTOR, at=AT),
            }
        return {kind: str(row.id) for kind, row in rows.items()}

    @pytest.mark.parametrize("kind", KINDS)
    def test_foreign_absent_and_invalid_ids_have_the_same_response(self, admin, foreign, kind):
        for method in ("get", "patch", "delete"):
            answers = [
                getattr(admin, method)(f"/api/v1/{kind}/{pk}/")
                for pk in (foreign[kind], ABSENT, "nonsense")
            ]
            assert len({(a.status_code, a.content) for a in answers}) == 1
            assert answers[0].status_code in {404, 405 if method == "patch" else 404}
        assert admin.get(f"/api/v1/{kind}/").json()["results"] == []

    def test_a_foreign_parent_has_the_same_response_as_an_absent_one(self, admin, foreign):
        def post(site: str):
            answer = admin.post(
                "/api/v1/devices/",
                {"name": "x", "site": site, "management_address": "127.0.0.1"},
            )
            return answer.status_code, answer.content.replace(site.encode(), b"ID")

        assert post(foreign["sites"]) == post(ABSENT)
        assert post(ABSENT)[0] == 400

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_read_only_member_may_not_write(self, reader, kind):
        assert reader.get(f"/api/v1/{kind}/").status_code == 200
        # Interfaces are discovered: POST does not exist.
        refused = 405 if kind == "interfaces" else 403
        assert reader.post(f"/api/v1/{kind}/", {}).status_code == refused
        assert reader.delete(f"/api/v1/{kind}/{uuid.uuid4()}/").status_code == 403

    def test_unauthenticated_requests_are_refused(self, db):
        for kind in self.KINDS:
            assert APIClient().get(f"/api/v1/{kind}/").status_code == 401


class TestLists:
    def test_cursor_paging_returns_every_row(self, admin, acme):
        with acting_in(acme):
            for n in range(5):
                make_site(f"s{n}")

        names, url = [], "/api/v1/sites/?page_size=2"
        while url:
            body = admin.get(url).json()
            names += [row["name"] for row in body["results"]]
            url = body["next"]

        assert sorted(names) == [f"s{n}" for n in range(5)]

    def test_filters(self, admin, acme):
        with acting_in(acme):
            hub, north = make_site("hub"), make_site("north")
            make_device("a", site=hub)
            make_device("b", site=north, role="agg")

        def names(query: str) -> list[str]:
            return [r["name"] for r in admin.get(f"/api/v1/devices/?{query}").json()["results"]]

        assert names(f"site={north.id}") == names("role=agg") == names("name=b") == ["b"]

    @pytest.mark.parametrize("kind", ["devices", "links", "probe-targets", "services"])
    def test_the_number_of_queries_does_not_grow_with_the_page(self, admin, acme, kind):
        def grow(start: int, count: int) -> None:
            with acting_in(acme):
                for n in range(start, start + count):
                    device = make_device(f"r{n}")
                    make_link(device, None, f"l{n}")
                    services.create_default_probe_targets(device=device, actor=ACTOR, at=AT)
                    services.ensure_pppoe_service(device=device, actor=ACTOR, at=AT)

        def count() -> int:
            with CaptureQueriesContext(connection) as captured:
                assert admin.get(f"/api/v1/{kind}/").status_code == 200
            return len(captured)

        grow(0, 1)
        few = count()
        grow(1, 15)

        assert count() == few

    def test_lists_only_the_tenants_rows(self, admin, acme, globex):
        for tenant in (acme, globex):
            with acting_in(tenant):
                make_site(tenant.slug)

        assert [r["name"] for r in admin.get("/api/v1/sites/").json()["results"]] == ["acme"]
        assert Site.objects.count() == 0  # without a tenant context no rows are visible
