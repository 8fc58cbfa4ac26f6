"""Connection tests: requested, audited, claimed once, finished once, expired."""

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
#: May change devices and assign agents, but not approve logins.
CHANGES = Actor("token", "00000000-0000-4000-8000-000000000001", "inventory only")
URL = "/api/v1/diagnostics/connection-tests/"
OK = {"outcome": "ok", "identity": "cr1", "latency_ms": 3.5}


def login(name: str = "routers", secret: str = PASSWORD):
    return store_credential_set(name=name, username="mon", secret=secret, actor=ACTOR, at=AT)


def assign(agent, *devices) -> None:
    agents.assign_agent(
        agent=agent, device_ids=[d.id for d in devices], site_ids=[], actor=ACTOR, at=AT
    )


class Setup:
    """An online agent that is assigned to cr1."""

    def __init__(self) -> None:
        self.agent = make_agent()
        self.key, public = sealing_key()
        enroll(self.agent, sealing_public_key=public)
        agents.record_heartbeat(agent_id=self.agent.id, at=AT)
        self.login = login()
        self.device = make_device("cr1", credential_set=self.login)
        assign(self.agent, self.device)

    def request(self, at=AT, **chosen):
        return services.request_test(device=self.device, actor=ACTOR, at=at, **chosen)

    def claim(self, at=AT):
        return services.claim_test(agent_id=self.agent.id, at=at)

    def report(self, test, at=AT, **result):
        return services.record_result(test_id=test.id, agent_id=self.agent.id, result=result, at=at)


@pytest.fixture
def setup(in_acme) -> Setup:
    return Setup()


class TestRequest:
    def test_is_audited_before_it_runs(self, setup):
        test = setup.request()

        assert test.state == TestState.WAITING
        assert waiting_count(setup.agent.id, AT) == 1
        record = Record.objects.get(action="connection_test.requested")
        assert record.detail["test"] == str(test.id)

    def test_one_test_per_device_at_a_time(self, setup):
        setup.request()

        with pytest.raises(services.TestInProgress):
            setup.request()

        later = AT + services.TEST_TIMEOUT
        agents.record_heartbeat(agent_id=setup.agent.id, at=later)
        setup.request(at=later)

    def test_is_rate_limited(self, setup):
        devices = [make_device(f"r{n}") for n in range(services.MAX_PER_MINUTE)]
        assign(setup.agent, setup.device, *devices)
        for device in devices:
            services.request_test(device=device, actor=ACTOR, at=AT)

        with pytest.raises(services.TooManyTests) as refused:
            setup.request()

        assert refused.value.status == 429

    def test_needs_an_online_agent(self, setup):
        with pytest.raises(services.NoAgent):
            setup.request(at=AT + timedelta(minutes=5))
        assert not ConnectionTest.objects.exists()

    def test_deletes_old_tests(self, setup):
        for n in range(services.MAX_STORED_PER_DEVICE + 3):
            at = AT + n * timedelta(minutes=1)
            agents.record_heartbeat(agent_id=setup.agent.id, at=at)
            setup.request(at=at)

        assert ConnectionTest.objects.count() == services.MAX_STORED_PER_DEVICE


class TestAnotherLogin:
    """A login that is not the device's is tested only where nothing has changed since it was approved."""

    def change(self, setup, actor=ACTOR, **changes) -> None:
        setup.device = Device.objects.get(pk=setup.device.pk)
        inventory.update_device(device=setup.device, changes=changes, actor=actor, at=AT)
        setup.device = Device.objects.get(pk=setup.device.pk)

    @pytest.mark.parametrize("is_own_login_kept", [True, False])
    @pytest.mark.parametrize(
        "changes",
        [{"management_address": "198.51.100.66"}, {"api_port": 8729}, {"api_tls": True}],
        ids=["address", "port", "tls"],
    )
    def test_is_not_sent_to_a_changed_destination(self, setup, changes, is_own_login_kept):
        other = login("other", "second")
        if not is_own_login_kept:
            self.change(setup, credential_set=None)
        self.change(setup, CHANGES, **changes)

        with pytest.raises(LoginHeld):
            setup.request(credential_set=other)

        assert not ConnectionTest.objects.exists()

    @pytest.mark.parametrize("is_own_login_kept", [True, False])
    def test_is_not_sent_to_an_agent_assigned_by_another_actor(self, setup, is_own_login_kept):
        other = login("other", "second")
        if not is_own_login_kept:
            self.change(setup, credential_set=None)
        thief = make_agent("thief")
        enroll(thief, sealing_public_key=sealing_key()[1])
        agents.record_heartbeat(agent_id=thief.id, at=AT)
        agents.assign_agent(agent=setup.agent, actor=ACTOR, at=AT)
        agents.assign_agent(
            agent=thief, device_ids=[setup.device.id], site_ids=[], actor=CHANGES, at=AT
        )

        with pytest.raises(LoginHeld):
            setup.request(credential_set=other)

    def test_is_sent_for_a_device_without_logins(self, setup):
        device = make_device("new")
        assign(setup.agent, setup.device, device)
        other = login("other", "second")

        services.request_test(device=device, credential_set=other, actor=ACTOR, at=AT)

        (sent,) = setup.claim()["device"]["credentials"]
        assert sent["credential_set"] == str(other.id)

    def test_is_sent_after_it_was_removed_from_the_device(self, setup):
        self.change(setup, credential_set=None)

        setup.request(credential_set=setup.login)

        assert len(setup.claim()["device"]["credentials"]) == 1


class TestClaim:
    def test_returns_the_logins_encrypted_for_the_agent_in_order_and_audits(self, setup):
        other = login("other", "second")
        inventory.set_device_credentials(
            device=setup.device, credential_sets=[other, setup.login], actor=ACTOR, at=AT
        )
        test = setup.request()

        job = setup.claim()

        assert (job["id"], job["kind"]) == (str(test.id), "connection_test")
        opened = [
            open_sealed(setup.key, c["sealed_password"], str(setup.device.id)).decode()
            for c in job["device"]["credentials"]
        ]
        assert opened == ["second", PASSWORD]
        assert PASSWORD not in str(job)
        leased = Record.objects.filter(action="credentials.leased")
        assert [row.detail["purpose"] for row in leased] == ["connection_test"]
        assert SecretLease.objects.filter(purpose="connection_test").count() == leased.count()

    def test_returns_only_the_chosen_login(self, setup):
        other = login("other", "second")
        setup.request(credential_set=other)

        (only,) = setup.claim()["device"]["credentials"]

        assert only["credential_set"] == str(other.id)

    def test_each_test_is_claimed_once(self, setup):
        setup.request()

        assert [setup.claim() is None for _ in range(2)] == [False, True]

    def test_skips_expired_tests(self, setup):
        test = setup.request()

        assert setup.claim(at=AT + services.TEST_TIMEOUT) is None
        assert state_of(test, AT + services.TEST_TIMEOUT) == TestState.EXPIRED

    def test_skips_tests_of_another_agent(self, setup):
        setup.request()
        other = make_agent("other")

        assert services.claim_test(agent_id=other.id, at=AT) is None

    def test_an_agent_that_is_no_longer_assigned_gets_no_login(self, setup):
        test = setup.request()
        assign(setup.agent)

        assert setup.claim() is None
        test.refresh_from_db()
        assert state_of(test, AT) == TestState.EXPIRED
        assert not Record.objects.filter(action="credentials.leased").exists()

    def test_an_agent_of_another_tenant_is_not_visible(self, setup, globex):
        setup.request()
        with acting_in(globex), pytest.raises(NotVisible):
            setup.claim()


class TestResult:
    def test_is_stored_once(self, setup):
        test = setup.request()
        setup.claim()
        setup.report(test, **OK)
        setup.report(test, **OK)

        test.refresh_from_db()
        assert (test.state, test.outcome, test.identity) == ("done", "ok", "cr1")
        assert Record.objects.filter(action="connection_test.finished").count() == 1

    def test_is_refused_for_a_test_that_is_not_running(self, setup):
        test = setup.request()
        with pytest.raises(services.TestNotRunning):
            setup.report(test, **OK)
        setup.claim()
        with pytest.raises(services.TestNotRunning):
            setup.report(test, at=AT + services.TEST_TIMEOUT, **OK)
        setup.report(test, **OK)
        with pytest.raises(services.TestNotRunning):
            setup.report(test, outcome="timeout")

    def test_of_another_agent_is_not_visible(self, setup):
        test = setup.request()
        setup.claim()
        setup.agent = make_agent("other")

        with pytest.raises(NotVisible):
            setup.report(test, **OK)


class TestRest:
    @pytest.fixture
    def acme_setup(self, acme, monkeypatch):
        from apps.core import clock

        monkeypatch.setattr(clock, "now", lambda: AT)
        with acting_in(acme):
            return Setup()

    def test_an_operator_requests_a_test_and_gets_its_result(self, acme, acme_noc, acme_setup):
        noc = bearer(acme, acme_noc)
        created = noc.post(URL, {"device": str(acme_setup.device.id)})
        assert created.status_code == 202, created.content
        url = f"{URL}{created.json()['id']}/"
        assert noc.get(url).json()["state"] == "waiting"
        with acting_in(acme):
            acme_setup.claim()
            acme_setup.report(ConnectionTest.objects.get(), **OK)

        result = noc.get(url).json()

        assert (result["state"], result["outcome"], result["latency_ms"]) == ("done", "ok", 3.5)

    def test_an_operator_may_test_only_the_devices_own_logins(self, acme, acme_noc, acme_setup):
        with acting_in(acme):
            other = login("other", "second")
        noc = bearer(acme, acme_noc)
        body = {"device": str(acme_setup.device.id)}

        refused = noc.post(URL, {**body, "credential_set": str(other.id)})
        allowed = noc.post(URL, {**body, "credential_set": str(acme_setup.login.id)})

        assert problem(refused) == (403, "forbidden")
        assert allowed.status_code == 202

    def test_an_admin_may_test_any_router_login(self, acme, acme_admin, acme_setup):
        with acting_in(acme):
            other = login("other", "second")
            snmp = create_credential_set(
                name="snmp", kind="snmp_v2c", secrets={"community": "x"}, actor=ACTOR, at=AT
            )
        admin = signed_in(APIClient(), acme_admin)
        body = {"device": str(acme_setup.device.id)}

        wrong = admin.post(URL, {**body, "credential_set": str(snmp.id)})
        right = admin.post(URL, {**body, "credential_set": str(other.id)})

        assert faulty_fields(wrong) == {"credential_set"}
        assert right.status_code == 202

    def test_readonly_may_not(self, acme, acme_readonly, acme_setup):
        answer = bearer(acme, acme_readonly).post(URL, {"device": str(acme_setup.device.id)})

        assert problem(answer) == (403, "permission_denied")

    def test_a_second_test_is_a_conflict(self, acme, acme_noc, acme_setup):
        noc = bearer(acme, acme_noc)
        body = {"device": str(acme_setup.device.id)}
        noc.post(URL, body)

        assert problem(noc.post(URL, body)) == (409, "test_in_progress")
