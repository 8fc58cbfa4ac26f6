import pytest

from apps.inventory.models import Link
from apps.tenancy import acting_in
from tests.inventory.factories import make_device, make_link
from tests.inventory.test_api import ABSENT, caller

pytestmark = pytest.mark.django_db
GROUPS = "/api/v1/topology/dependency-groups/"


@pytest.fixture
def admin(acme, acme_admin):
    return caller(acme, acme_admin)


@pytest.fixture
def spur(acme):
    with acting_in(acme):
        core, spoke = make_device("cr1"), make_device("agg1")
        links = [make_link(core, spoke, n, a_interface_name=n, z_interface_name=n) for n in "ab"]
    return spoke, links


def body(spoke, links, **fields) -> dict:
    return {
        "dependent": {"type": "device", "id": str(spoke.id)},
        "mode": "any",
        "members": [{"type": "link", "id": str(link.id)} for link in links],
        **fields,
    }


class TestDependencyGroups:
    def test_they_are_created_replaced_and_deleted(self, admin, spur):
        spoke, links = spur

        created = admin.post(GROUPS, body(spoke, links))
        url = f"{GROUPS}{created.json()['id']}/"
        replaced = admin.put(url, body(spoke, links, mode="k_of_n", k=2))

        assert created.status_code == 201
        assert (replaced.status_code, replaced.json()["k"]) == (200, 2)
        assert admin.get(url).json() == replaced.json()
        assert [g["id"] for g in admin.get(GROUPS).json()["results"]] == [created.json()["id"]]
        assert admin.delete(url).status_code == 204
        assert admin.get(url).status_code == 404

    def test_the_dependent_stays(self, admin, spur):
        spoke, links = spur
        url = f"{GROUPS}{admin.post(GROUPS, body(spoke, links)).json()['id']}/"
        other = {"type": "link", "id": str(links[0].id)}

        assert admin.put(url, body(spoke, links[1:], dependent=other)).status_code == 400

    def test_unknown_members_are_rejected(self, admin, spur):
        spoke, links = spur
        members = [{"type": "link", "id": ABSENT}]

        answer = admin.post(GROUPS, body(spoke, links, members=members))

        assert (answer.status_code, answer.json()["code"]) == (422, "group_invalid")

    def test_a_noc_operator_may_not_change_them(self, acme, acme_noc, spur):
        noc = caller(acme, acme_noc)

        assert noc.post(GROUPS, body(*spur)).status_code == 403
        assert noc.get(GROUPS).status_code == 200

    def test_other_tenants_groups_are_not_found(self, admin, spur, globex, globex_admin):
        url = f"{GROUPS}{admin.post(GROUPS, body(*spur)).json()['id']}/"
        stranger = caller(globex, globex_admin)

        answers = [stranger.get(url), stranger.get(f"{GROUPS}{ABSENT}/")]

        assert {a.status_code for a in answers} == {404}
        assert answers[0].content == answers[1].content


class TestGraph:
    def test_it_is_one_document_with_its_version_as_etag(self, admin, spur, acme):
        first = admin.get("/api/v1/topology/graph/")

        assert first["ETag"] == f'"{first.json()["version"]}"'
        assert {d["name"] for d in first.json()["devices"]} == {"cr1", "agg1"}
        same = admin.get("/api/v1/topology/graph/", headers={"If-None-Match": first["ETag"]})
        assert (same.status_code, same.content) == (304, b"")

        with acting_in(acme):
            Link.objects.filter(name="a").update(kind="backhaul")
        changed = admin.get("/api/v1/topology/graph/", headers={"If-None-Match": first["ETag"]})
        assert changed.status_code == 200
