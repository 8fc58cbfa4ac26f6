from datetime import timedelta

import pytest

from apps.agents import services
from apps.agents.services import UnassignedItem
from apps.core import clock
from apps.tenancy import acting_in
from tests.agents.csr import make_csr
from tests.agents.factories import AT, make_agent
from tests.inventory.factories import make_device
from tests.inventory.test_api import ABSENT, caller

pytestmark = pytest.mark.django_db
AGENTS = "/api/v1/agents/"


@pytest.fixture
def admin(acme, acme_admin):
    return caller(acme, acme_admin)


class TestAgents:
    def test_lifecycle_of_an_agent(self, admin, acme):
        with acting_in(acme):
            device = make_device()
        created = admin.post(AGENTS, {"name": "core", "attached_device": str(device.id)})
        url = f"{AGENTS}{created.json()['id']}/"
        token = admin.post(f"{url}enroll-token/")
        services.enroll_agent(token=token.json()["token"], csr_pem=make_csr(), at=clock.now())
        assigned = admin.post(f"{url}assignments/", {"device_ids": [str(device.id)]})

        assert (created.status_code, created.json()["status"]) == (201, "pending")
        assert token.status_code == 201
        assert admin.get(url).json()["status"] == "active"
        assert assigned.json()["effective_device_ids"] == [str(device.id)]
        assert admin.get(f"{url}assignments/").json() == assigned.json()
        assert len(admin.get(f"{url}certificates/").json()["results"]) == 1

        revoked = admin.post(f"{url}revoke/", {"reason": "stolen"})

        assert revoked.json()["status"] == "revoked"
        (certificate,) = admin.get(f"{url}certificates/").json()["results"]
        assert certificate["revoked_at"]
        again = admin.post(f"{url}enroll-token/")
        assert (again.status_code, again.json()["code"]) == (409, "agent_revoked")
        assert admin.delete(url).status_code == 204

    def test_lists_quarantined_entities_newest_first(self, admin, acme):
        at = clock.now()
        with acting_in(acme):
            agent = make_agent("core")
            first, second = make_device("cr1"), make_device("cr2")
            for device, minutes in ((first, 9), (second, 0)):
                item = UnassignedItem("device", device.id, "device.cpu_pct", at, 99.0)
                services.quarantine_items(
                    agent_id=agent.id, items=[item], at=at - timedelta(minutes=minutes)
                )

        body = admin.get(f"{AGENTS}{agent.id}/quarantine/").json()

        assert body["is_active"]
        assert [row["entity_id"] for row in body["results"]] == [str(second.id), str(first.id)]
        assert body["results"][0]["samples"] == [
            {"name": "device.cpu_pct", "ts": at.isoformat(), "value": 99.0}
        ]

    def test_the_token_is_never_shown_again(self, admin):
        url = f"{AGENTS}{admin.post(AGENTS, {'name': 'core'}).json()['id']}/"
        token = admin.post(f"{url}enroll-token/").json()["token"]

        for path in (AGENTS, url, f"{url}certificates/", f"{url}assignments/"):
            assert token.encode() not in admin.get(path).content

    def test_reported_values_are_read_only(self, admin):
        created = admin.post(AGENTS, {"name": "core"}).json()

        answer = admin.patch(
            f"{AGENTS}{created['id']}/", {"status": "active", "version": "9", "name": "renamed"}
        ).json()

        assert (answer["status"], answer["version"], answer["name"]) == ("pending", "", "renamed")

    def test_a_taken_name_is_a_conflict(self, admin):
        admin.post(AGENTS, {"name": "core"})

        assert admin.post(AGENTS, {"name": "core"}).status_code == 409

    def test_foreign_and_absent_ids_are_refused(self, admin, acme, globex):
        with acting_in(globex):
            foreign = make_device("theirs")
        url = f"{AGENTS}{admin.post(AGENTS, {'name': 'core'}).json()['id']}/assignments/"

        for pk in (str(foreign.id), ABSENT):
            answer = admin.post(url, {"device_ids": [pk]})
            assert (answer.status_code, answer.json()["code"]) == (422, "unknown_entity")


class TestPermissions:
    @pytest.mark.parametrize("action", ["", "enroll-token/", "revoke/", "assignments/"])
    def test_a_noc_operator_may_only_read(self, acme, acme_noc, action):
        with acting_in(acme):
            agent = make_agent()
        noc = caller(acme, acme_noc)

        assert noc.get(f"{AGENTS}{agent.id}/").status_code == 200
        assert noc.post(f"{AGENTS}{agent.id}/{action}" if action else AGENTS).status_code == 403

    @pytest.mark.parametrize(
        ("method", "action"),
        [
            ("get", ""),
            ("patch", ""),
            ("delete", ""),
            ("post", "enroll-token/"),
            ("post", "revoke/"),
            ("post", "assignments/"),
            ("get", "assignments/"),
            ("get", "certificates/"),
            ("get", "quarantine/"),
        ],
    )
    def test_foreign_absent_and_invalid_ids_have_the_same_response(
        self, admin, globex, method, action
    ):
        with acting_in(globex):
            foreign = make_agent("theirs")

        answers = [
            getattr(admin, method)(f"{AGENTS}{pk}/{action}") for pk in (foreign.id, ABSENT, "junk")
        ]

        assert {a.status_code for a in answers} == {404}
        assert len({a.content for a in answers}) == 1
        with acting_in(globex):
            foreign.refresh_from_db()
            assert (foreign.status, foreign.created_at) == ("pending", AT)
