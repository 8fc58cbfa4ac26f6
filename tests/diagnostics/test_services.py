"""Connection tests as rows: asked, audited, taken once, told once, expired."""

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from agent.protocol.sealing import open_sealed
from apps.agents import services as agents
from apps.audit.models import Record
from apps.authorization.actors import Actor
from apps.core.errors import NotVisible
from apps.diagnostics import services
from apps.diagnostics.choices import TestState
from apps.diagnostics.models import ConnectionTest
from apps.diagnostics.selectors import state_of, waiting_count
from apps.inventory import services as inventory
from apps.inventory.errors import LoginHeld
from apps.inventory.models import Device
from apps.tenancy import acting_in
from apps.vault.models import SecretLease
from apps.vault.services import create_credential_set, store_credential_set
from tests.agents.factories import ACTOR, AT, enroll, make_agent, sealing_key
from tests.clients import bearer, faulty_fields, problem, signed_in
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db
PASSWORD = "router-canary-2291"
#: May change devices and assign agents, and approve no login.
CHANGES = Actor("token", "00000000-0000-4000-8000-000000000001", "inventory only")
URL = "/api/v1/diagnostics/connection-tests/"
OK = {"outcome": "ok", "identity": "cr1", "latency_ms": 3.5}


def login(name: str = "routers", secret: str = PASSWORD):
    return store_credential_set(name=name, username="mon", secret=secret, actor=ACTOR, at=AT)


def watch(agent, *devices) -> None:
    agents.assign_agent(
        agent=agent, device_ids=[d.id for d in devices], site_ids=[], actor=ACTOR, at=AT
    )


class Working:
    """An agent that is heard and watches cr1."""

    def __init__(self) -> None:
        self.agent = make_agent()
        self.key, public = sealing_key()
        enroll(self.agent, sealing_public_key=public)
        agents.record_heartbeat(agent_id=self.agent.id, at=AT)
        self.login = login()
        self.device = make_device("cr1", credential_set=self.login)
        watch(self.agent, self.device)

    def ask(self, at=AT, **chosen):
        return services.request_test(device=self.device, actor=ACTOR, at=at, **chosen)

    def take(self, at=AT):
        return services.take_test(agent_id=self.agent.id, at=at)

    def tell(self, test, at=AT, **result):
        return services.record_result(test_id=test.id, agent_id=self.agent.id, result=result, at=at)


@pytest.fixture
def working(in_acme) -> Working:
    return Working()


class TestAsking:
    def test_is_audited_before_anybody_tries(self, working):
        test = working.ask()

        assert test.state == TestState.WAITING
        assert waiting_count(working.agent.id, AT) == 1
        record = Record.objects.get(action="connection_test.requested")
        assert record.detail["test"] == str(test.id)

    def test_a_device_is_tried_once_at_a_time(self, working):
        working.ask()

        with pytest.raises(services.TestUnderWay):
            working.ask()

        later = AT + services.PATIENCE
        agents.record_heartbeat(agent_id=working.agent.id, at=later)
        working.ask(at=later)

    def test_there_are_so_many_a_minute(self, working):
        devices = [make_device(f"r{n}") for n in range(services.MOST_A_MINUTE)]
        watch(working.agent, working.device, *devices)
        for device in devices:
            services.request_test(device=device, actor=ACTOR, at=AT)

        with pytest.raises(services.TooManyTests) as refused:
            working.ask()

        assert refused.value.status == 429

    def test_without_an_agent_that_is_heard_nobody_is_asked(self, working):
        with pytest.raises(services.NoAgent):
            working.ask(at=AT + timedelta(minutes=5))
        assert not ConnectionTest.objects.exists()

    def test_old_ones_go(self, working):
        for n in range(services.KEPT_PER_DEVICE + 3):
            at = AT + n * timedelta(minutes=1)
            agents.record_heartbeat(agent_id=working.agent.id, at=at)
            working.ask(at=at)

        assert ConnectionTest.objects.count() == services.KEPT_PER_DEVICE


class TestAnotherLogin:
    """A login that is not the device's is tried only where nothing has changed since it was approved."""

    def change(self, working, actor=ACTOR, **changes) -> None:
        working.device = Device.objects.get(pk=working.device.pk)
        inventory.update_device(device=working.device, changes=changes, actor=actor, at=AT)
        working.device = Device.objects.get(pk=working.device.pk)

    @pytest.mark.parametrize("is_own_login_kept", [True, False])
    @pytest.mark.parametrize(
        "changes",
        [{"management_address": "198.51.100.66"}, {"api_port": 8729}, {"api_tls": True}],
        ids=["address", "port", "tls"],
    )
    def test_is_not_sent_where_somebody_moved_the_device(self, working, changes, is_own_login_kept):
        other = login("other", "second")
        if not is_own_login_kept:
            self.change(working, credential_set=None)
        self.change(working, CHANGES, **changes)

        with pytest.raises(LoginHeld):
            working.ask(credential_set=other)

        assert not ConnectionTest.objects.exists()

    @pytest.mark.parametrize("is_own_login_kept", [True, False])
    def test_is_not_sent_to_an_agent_that_somebody_else_assigned(self, working, is_own_login_kept):
        other = login("other", "second")
        if not is_own_login_kept:
            self.change(working, credential_set=None)
        thief = make_agent("thief")
        enroll(thief, sealing_public_key=sealing_key()[1])
        agents.record_heartbeat(agent_id=thief.id, at=AT)
        agents.assign_agent(agent=working.agent, actor=ACTOR, at=AT)
        agents.assign_agent(
            agent=thief, device_ids=[working.device.id], site_ids=[], actor=CHANGES, at=AT
        )

        with pytest.raises(LoginHeld):
            working.ask(credential_set=other)

    def test_is_tried_on_a_device_that_never_had_one(self, working):
        device = make_device("new")
        watch(working.agent, working.device, device)
        other = login("other", "second")

        services.request_test(device=device, credential_set=other, actor=ACTOR, at=AT)

        (sent,) = working.take()["device"]["credentials"]
        assert sent["credential_set"] == str(other.id)

    def test_is_tried_where_the_login_was_taken_off_and_nothing_else_changed(self, working):
        self.change(working, credential_set=None)

        working.ask(credential_set=working.login)

        assert len(working.take()["device"]["credentials"]) == 1


class TestTaking:
    def test_the_logins_come_sealed_to_the_agent_best_first_and_are_audited(self, working):
        other = login("other", "second")
        inventory.set_device_credentials(
            device=working.device, credential_sets=[other, working.login], actor=ACTOR, at=AT
        )
        test = working.ask()

        job = working.take()

        assert (job["id"], job["kind"]) == (str(test.id), "connection_test")
        opened = [
            open_sealed(working.key, c["sealed_password"], str(working.device.id)).decode()
            for c in job["device"]["credentials"]
        ]
        assert opened == ["second", PASSWORD]
        assert PASSWORD not in str(job)
        leased = Record.objects.filter(action="credentials.leased")
        assert [row.detail["purpose"] for row in leased] == ["connection_test"]
        assert SecretLease.objects.filter(purpose="connection_test").count() == leased.count()

    def test_one_chosen_login_comes_alone(self, working):
        other = login("other", "second")
        working.ask(credential_set=other)

        (only,) = working.take()["device"]["credentials"]

        assert only["credential_set"] == str(other.id)

    def test_is_taken_once(self, working):
        working.ask()

        assert [working.take() is None for _ in range(2)] == [False, True]

    def test_what_has_expired_is_not_tried(self, working):
        test = working.ask()

        assert working.take(at=AT + services.PATIENCE) is None
        assert state_of(test, AT + services.PATIENCE) == TestState.EXPIRED

    def test_another_agent_does_not_get_it(self, working):
        working.ask()
        other = make_agent("other")

        assert services.take_test(agent_id=other.id, at=AT) is None

    def test_an_agent_that_lost_the_device_meanwhile_gets_no_login(self, working):
        test = working.ask()
        watch(working.agent)

        assert working.take() is None
        test.refresh_from_db()
        assert state_of(test, AT) == TestState.EXPIRED
        assert not Record.objects.filter(action="credentials.leased").exists()

    def test_a_foreign_agent_is_not_there(self, working, globex):
        working.ask()
        with acting_in(globex), pytest.raises(NotVisible):
            working.take()


class TestTelling:
    def test_keeps_what_the_agent_found(self, working):
        test = working.ask()
        working.take()
        working.tell(test, **OK)
        working.tell(test, **OK)

        test.refresh_from_db()
        assert (test.state, test.outcome, test.identity) == ("done", "ok", "cr1")
        assert Record.objects.filter(action="connection_test.finished").count() == 1

    def test_nobody_tells_what_was_not_taken_or_is_over(self, working):
        test = working.ask()
        with pytest.raises(services.TestOver):
            working.tell(test, **OK)
        working.take()
        with pytest.raises(services.TestOver):
            working.tell(test, at=AT + services.PATIENCE, **OK)
        working.tell(test, **OK)
        with pytest.raises(services.TestOver):
            working.tell(test, outcome="timeout")

    def test_another_agents_test_is_not_there(self, working):
        test = working.ask()
        working.take()
        working.agent = make_agent("other")

        with pytest.raises(NotVisible):
            working.tell(test, **OK)


class TestOverRest:
    @pytest.fixture
    def there(self, acme, monkeypatch):
        from apps.core import clock

        monkeypatch.setattr(clock, "now", lambda: AT)
        with acting_in(acme):
            return Working()

    def test_an_operator_asks_and_sees_what_came_of_it(self, acme, acme_noc, there):
        noc = bearer(acme, acme_noc)
        asked = noc.post(URL, {"device": str(there.device.id)})
        assert asked.status_code == 202, asked.content
        url = f"{URL}{asked.json()['id']}/"
        assert noc.get(url).json()["state"] == "waiting"
        with acting_in(acme):
            there.take()
            there.tell(ConnectionTest.objects.get(), **OK)

        said = noc.get(url).json()

        assert (said["state"], said["outcome"], said["latency_ms"]) == ("done", "ok", 3.5)

    def test_an_operator_tries_the_devices_own_logins_and_no_others(self, acme, acme_noc, there):
        with acting_in(acme):
            other = login("other", "second")
        noc = bearer(acme, acme_noc)
        body = {"device": str(there.device.id)}

        refused = noc.post(URL, {**body, "credential_set": str(other.id)})
        allowed = noc.post(URL, {**body, "credential_set": str(there.login.id)})

        assert problem(refused) == (403, "forbidden")
        assert allowed.status_code == 202

    def test_an_admin_tries_any_router_login_before_setting_it(self, acme, acme_admin, there):
        with acting_in(acme):
            other = login("other", "second")
            snmp = create_credential_set(
                name="snmp", kind="snmp_v2c", secrets={"community": "x"}, actor=ACTOR, at=AT
            )
        admin = signed_in(APIClient(), acme_admin)
        body = {"device": str(there.device.id)}

        wrong = admin.post(URL, {**body, "credential_set": str(snmp.id)})
        right = admin.post(URL, {**body, "credential_set": str(other.id)})

        assert faulty_fields(wrong) == {"credential_set"}
        assert right.status_code == 202

    def test_a_reader_may_not(self, acme, acme_readonly, there):
        answer = bearer(acme, acme_readonly).post(URL, {"device": str(there.device.id)})

        assert problem(answer) == (403, "permission_denied")

    def test_again_too_soon_is_a_conflict(self, acme, acme_noc, there):
        noc = bearer(acme, acme_noc)
        body = {"device": str(there.device.id)}
        noc.post(URL, body)

        assert problem(noc.post(URL, body)) == (409, "test_under_way")
