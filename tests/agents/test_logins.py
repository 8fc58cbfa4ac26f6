"""Where a router's login is sent is decided by somebody with the right to, and by no other change."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from rest_framework.test import APIClient

from agent.protocol.sealing import open_sealed
from apps.accounts.models import BreakGlass
from apps.accounts.selectors import access_for_token
from apps.accounts.services import issue_token
from apps.agents import services
from apps.agents.models import Agent, AgentDevice
from apps.audit.models import Record
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.inventory import services as inventory
from apps.inventory.choices import HoldReason, LoginState
from apps.inventory.destinations import login_status
from apps.inventory.models import Device, LoginApproval
from apps.tenancy import acting_in
from apps.vault.models import CredentialSet
from apps.vault.services import store_credential_set
from tests.accounts.operators import Caller, make_operator
from tests.agents.csr import make_csr
from tests.agents.factories import ACTOR, AT, enroll, make_agent, sealing_key
from tests.clients import problem, signed_in
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db

PASSWORD = "router-canary-5520"
#: Somebody who may change devices, and no more: a token of an admin with that one scope.
CHANGES = Actor("token", "00000000-0000-4000-8000-000000000001", "inventory only")
EVIL = "198.51.100.66"


@dataclass
class Network:
    """cr1 is read by the agent of its site; its login is approved."""

    agent: Agent
    key: Any
    device: Device
    login: CredentialSet

    def refresh(self) -> Device:
        self.device = Device.objects.get(pk=self.device.pk)
        return self.device

    @property
    def state(self) -> LoginState:
        return login_status(self.refresh()).state

    @property
    def reasons(self) -> set[HoldReason]:
        return set(login_status(self.refresh()).reasons)

    @property
    def digest(self) -> str:
        return login_status(self.refresh()).destination.digest

    def told(self, agent: Agent | None = None, device: Device | None = None) -> dict:
        _, document = services.build_config(agent_id=(agent or self.agent).id, at=AT)
        wanted = str((device or self.device).id)
        return next(row for row in document["devices"] if row["id"] == wanted)

    def passwords(self, agent: Agent | None = None, key: Any = None) -> list[str]:
        """Every password that the agent's host can open."""
        _, document = services.build_config(agent_id=(agent or self.agent).id, at=AT)
        return [
            open_sealed(key or self.key, login["sealed_password"], row["id"]).decode()
            for row in document["devices"]
            for login in row["credentials"]
        ]


def store(name: str = "routers", secret: str = PASSWORD) -> CredentialSet:
    return store_credential_set(name=name, username="mon", secret=secret, actor=ACTOR, at=AT)


def start_agent(name: str, **assigned) -> tuple[Agent, Any]:
    agent = make_agent(name)
    key, public = sealing_key()
    enroll(agent, sealing_public_key=public)
    services.assign_agent(agent=agent, actor=ACTOR, at=AT, **assigned)
    return Agent.objects.get(pk=agent.pk), key


@pytest.fixture
def network(in_acme) -> Network:
    site, login = make_site(), store()
    device = make_device("cr1", site=site, credential_set=login)
    agent, key = start_agent("pop-1", site_ids=[site.id])
    found = Network(agent, key, device, login)
    assert found.state == LoginState.APPROVED
    assert found.passwords() == [PASSWORD]
    return found


def change(network: Network, actor: Actor = CHANGES, **changes) -> None:
    inventory.update_device(device=network.refresh(), changes=changes, actor=actor, at=AT)


def other_site(network: Network) -> dict:
    return {"site": make_site("elsewhere")}


WAYS = {
    "address": lambda n: change(n, management_address=EVIL),
    "port": lambda n: change(n, api_port=8729),
    "tls switched": lambda n: change(n, api_tls=True),
    "another credential set": lambda n: change(n, credential_set=store("core", "other-secret")),
    "further credential sets": lambda n: inventory.set_device_credentials(
        device=n.refresh(),
        credential_sets=[n.login, store("core", "other-secret")],
        actor=CHANGES,
        at=AT,
    ),
    "all at once": lambda n: change(
        n, name="cr1-new", management_address=EVIL, api_port=1, api_tls=True
    ),
}


class TestWhoeverMayOnlyChangeDevices:
    @pytest.mark.parametrize("way", WAYS)
    def test_gets_no_login_sent_elsewhere(self, network, way):
        WAYS[way](network)

        told = network.told()
        assert network.state == LoginState.HELD
        assert network.passwords() == []
        assert told["credential"] is None
        assert told["login_held"] is True
        assert told["address"] == network.device.management_address, "probing goes on"
        held = Record.objects.get(action="device.login_held")
        assert held.actor["label"] == CHANGES.label

    def test_may_set_it_back(self, network):
        change(network, management_address=EVIL)
        change(network, management_address="127.20.0.1")

        assert network.passwords() == [PASSWORD]

    @pytest.mark.parametrize(
        "changes",
        [{"name": "cr9"}, {"tags": ["x"]}, {"role": "edge"}, {"polling_profile": {"fast_s": 5}}],
    )
    def test_may_change_the_rest(self, network, changes):
        change(network, **changes)

        assert network.passwords() == [PASSWORD]

    @pytest.mark.parametrize(
        "name", ["address", "port", "tls", "management_address", "credential_set"]
    )
    def test_finds_no_destination_in_a_polling_profile(self, network, name):
        with pytest.raises(ValidationError):
            change(network, polling_profile={name: 1})

        assert network.passwords() == [PASSWORD]

    def test_gets_no_login_with_a_new_device(self, network):
        site = network.device.site
        made = inventory.create_device(
            name="evil", site=site, management_address=EVIL, credential_set=network.login,
            actor=CHANGES, at=AT,
        )  # fmt: skip

        assert login_status(made).reasons == (HoldReason.NEVER_APPROVED,)
        assert network.passwords() == [PASSWORD]
        assert network.told(device=made)["login_held"] is True

    def test_gets_no_login_by_deleting_and_making_it_again(self, network):
        site = network.device.site
        inventory.delete_device(device=network.device, actor=CHANGES, at=AT)
        inventory.create_device(
            name="cr1", site=site, management_address=EVIL, credential_set=network.login,
            actor=CHANGES, at=AT,
        )  # fmt: skip

        assert network.passwords() == []
        assert not LoginApproval.objects.exists()

    def test_gets_no_login_by_taking_it_off_and_attaching_it_again(self, network):
        change(network, credential_set=None)
        assert network.state == LoginState.NONE
        change(network, management_address=EVIL)
        change(network, credential_set=network.login)

        assert network.state == LoginState.HELD
        assert network.passwords() == []

    def test_a_spelling_of_the_same_address_is_no_change(self, network):
        change(network, ACTOR, management_address="2001:db8::1")
        change(network, management_address="2001:0DB8:0:0::1")

        assert network.passwords() == [PASSWORD]

    def test_cannot_name_a_destination_as_an_agent_does(self, network):
        """What is discovered is never an address, a port or a login."""
        agent = Actor.agent(network.agent.id, network.agent.name)
        item = {
            "id": str(network.device.id), "identity": "evil", "management_address": EVIL,
            "address": EVIL, "api_port": 1, "api_tls": True, "credential_set": str(uuid4()),
        }  # fmt: skip
        inventory.apply_discovery(
            patch={"devices": [item]}, device_ids=[network.device.id], actor=agent, at=AT
        )

        assert network.refresh().identity == "evil"
        assert network.device.management_address == "127.20.0.1"
        assert (network.device.api_port, network.device.api_tls) == (8728, False)
        assert network.passwords() == [PASSWORD]


class TestAssignments:
    """An agent is given no login that nobody approved for it."""

    def test_another_agent_by_name(self, network):
        thief, key = start_agent("thief")
        services.assign_agent(agent=thief, device_ids=[network.device.id], actor=CHANGES, at=AT)

        assert network.passwords(thief, key) == []
        assert network.told(thief)["login_held"] is True
        assert network.reasons == {HoldReason.AGENTS}

    def test_the_agent_that_had_it_goes_on_beside_it(self, network):
        services.assign_agent(
            agent=network.agent, device_ids=[network.device.id], actor=ACTOR, at=AT
        )
        thief, key = start_agent("thief")
        services.assign_agent(agent=thief, device_ids=[network.device.id], actor=CHANGES, at=AT)

        assert network.passwords(thief, key) == []
        assert network.passwords() == [PASSWORD]

    def test_another_agent_by_site(self, network):
        thief, key = start_agent("thief")
        services.assign_agent(agent=thief, site_ids=[network.device.site_id], actor=CHANGES, at=AT)

        assert network.passwords(thief, key) == []
        assert network.passwords() == [PASSWORD]

    def test_a_device_moved_to_another_agents_site(self, network):
        site = make_site("elsewhere")
        thief, key = start_agent("thief", site_ids=[site.id])
        change(network, site=site)

        assert network.told(thief)["login_held"] is True
        assert network.passwords(thief, key) == []

    def test_a_device_that_falls_back_to_its_sites_agent(self, network):
        """It was named for one agent; without the name the site's agent reads it."""
        named, key = start_agent("named", device_ids=[network.device.id])
        assert network.passwords(named, key) == [PASSWORD]
        services.assign_agent(agent=named, actor=CHANGES, at=AT)

        assert network.told()["login_held"] is True
        assert network.passwords() == []

    def test_an_agent_that_was_taken_off_is_not_approved_any_more(self, network):
        services.assign_agent(agent=network.agent, actor=CHANGES, at=AT)
        services.assign_agent(
            agent=network.agent, site_ids=[network.device.site_id], actor=CHANGES, at=AT
        )

        assert network.passwords() == []
        assert network.reasons == {HoldReason.AGENTS}

    def test_by_somebody_with_the_right_it_is_approved_at_once(self, network):
        second, key = start_agent("second", device_ids=[network.device.id])

        assert network.passwords(second, key) == [PASSWORD]
        assert network.state == LoginState.APPROVED

    def test_such_an_assignment_does_not_approve_what_was_changed_before(self, network):
        change(network, management_address=EVIL)
        second, key = start_agent("second", device_ids=[network.device.id])

        assert network.reasons == {HoldReason.ADDRESS}
        assert network.passwords(second, key) == []

    def test_deleting_an_agent_gives_nothing_to_the_next(self, network):
        named, _ = start_agent("named", device_ids=[network.device.id])
        services.delete_agent(agent=named, actor=CHANGES, at=AT)

        assert network.passwords() == []


@pytest.mark.django_db(transaction=True)
def test_no_assignment_slips_into_another_persons(acme):
    """Between the two looks of an act that approves, somebody else's assignment would pass for part of it."""
    with acting_in(acme):
        device = make_device("cr1", credential_set=store())
        thief = make_agent("thief")
        mine = make_agent("mine")

    def assign_thief() -> str:
        try:
            with acting_in(acme), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '300ms'")
                services.assign_agent(agent=thief, device_ids=[device.id], actor=CHANGES, at=AT)
        except OperationalError as error:
            return str(error)
        finally:
            connection.close()
        return "assigned"

    with ThreadPoolExecutor(1) as pool, acting_in(acme):
        with inventory.assignment_change(actor=ACTOR, at=AT):
            said = pool.submit(assign_thief).result()
            AgentDevice.objects.create(agent=mine, device=device)
        assert "lock timeout" in said
        assert LoginApproval.objects.get().agents == [str(mine.id)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["create", "approve"])
def test_whatever_approves_waits_for_changes_of_readers(acme, way):
    """In one order everywhere: readers, then devices and approvals. Another could deadlock."""
    with acting_in(acme):
        device, login = make_device("cr1", credential_set=store()), store("second")
        digest = login_status(device).destination.digest

    def approve() -> None:
        if way == "create":
            make_device("cr2", credential_set=login)
        else:
            inventory.approve_logins(destinations={device.id: digest}, actor=ACTOR, at=AT)

    def try_it() -> str:
        try:
            with acting_in(acme), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '300ms'")
                approve()
        except OperationalError as error:
            return str(error)
        finally:
            connection.close()
        return "approved"

    with ThreadPoolExecutor(1) as pool, acting_in(acme):
        with inventory.assignment_change(actor=ACTOR, at=AT):
            assert "lock timeout" in pool.submit(try_it).result()


class TestSetsBesideOneThatIsHeld:
    """Somebody else attached a credential set; it stays held whatever an approver does with the others."""

    @pytest.fixture
    def foreign(self, network) -> CredentialSet:
        found = store("foreign", "foreign-secret")
        self.attach(network, [network.login, found], CHANGES)
        assert network.reasons == {HoldReason.CREDENTIAL_SETS}
        return found

    def attach(self, network, rows: list[CredentialSet], actor: Actor = ACTOR) -> None:
        inventory.set_device_credentials(
            device=network.refresh(), credential_sets=rows, actor=actor, at=AT
        )

    def approved(self) -> set[str]:
        return set(LoginApproval.objects.get().credential_sets)

    def test_adding_another_approves_that_one_alone(self, network, foreign):
        mine = store("mine", "my-secret")
        self.attach(network, [network.login, foreign, mine])

        assert self.approved() == {str(network.login.id), str(mine.id)}
        assert network.reasons == {HoldReason.CREDENTIAL_SETS}
        assert network.passwords() == []

    def test_removing_another_approves_nothing(self, network, foreign):
        self.attach(network, [foreign])

        assert self.approved() == set()
        assert network.passwords() == []

    def test_another_order_approves_nothing(self, network, foreign):
        self.attach(network, [foreign, network.login])

        assert self.approved() == {str(network.login.id)}
        assert network.passwords() == []

    def test_removing_the_foreign_one_releases_the_rest(self, network, foreign):
        self.attach(network, [network.login])

        assert network.passwords() == [PASSWORD]

    def test_a_set_that_was_removed_is_not_approved_any_more(self, network):
        mine = store("mine", "my-secret")
        self.attach(network, [mine])
        self.attach(network, [mine, network.login], CHANGES)

        assert self.approved() == {str(mine.id)}
        assert network.passwords() == []


def test_attaching_a_login_does_not_approve_an_address_changed_while_there_was_none(network):
    change(network, ACTOR, credential_set=None)
    change(network, management_address=EVIL)
    change(network, ACTOR, credential_set=network.login)

    assert network.reasons == {HoldReason.ADDRESS}
    assert network.passwords() == []


class TestHosts:
    """A login is sealed to the host that somebody approved."""

    def enrol(self, network, actor: Actor) -> Any:
        token = services.issue_enroll_token(agent=network.agent, actor=actor, at=AT)
        key, public = sealing_key()
        services.enroll_agent(
            token=token.text, csr_pem=make_csr(), at=AT, sealing_public_key=public
        )
        return key

    def test_another_host_as_the_same_agent(self, network):
        key = self.enrol(network, CHANGES)

        assert network.passwords(key=key) == []
        assert network.told()["login_held"] is True
        assert network.reasons == {HoldReason.AGENT_HOST}

    def test_another_sealing_key_told_by_heartbeat(self, network):
        key, public = sealing_key()
        services.record_heartbeat(agent_id=network.agent.id, sealing_public_key=public, at=AT)

        assert network.passwords(key=key) == []

    def test_by_a_token_that_somebody_with_the_right_issued(self, network):
        key = self.enrol(network, ACTOR)

        assert network.passwords(key=key) == [PASSWORD]

    def test_is_approved_as_it_was_read(self, network):
        key = self.enrol(network, CHANGES)
        agent = Agent.objects.get(pk=network.agent.pk)
        for actor, host_key, refused in (
            (CHANGES, agent.host_key, services_error("LoginApprovalRefused")),
            (ACTOR, "0" * 64, services_error("DestinationChanged")),
            (ACTOR, "", services_error("DestinationChanged")),
        ):
            with pytest.raises(refused):
                services.approve_agent_host(agent=agent, host_key=host_key, actor=actor, at=AT)
        assert network.passwords(key=key) == []

        services.approve_agent_host(agent=agent, host_key=agent.host_key, actor=ACTOR, at=AT)

        assert network.passwords(key=key) == [PASSWORD]


def services_error(name: str) -> type[Exception]:
    from apps.inventory import errors

    found: type[Exception] = getattr(errors, name)
    return found


class TestApproving:
    def approve(self, network, actor: Actor = ACTOR, digest: str = "") -> None:
        inventory.approve_logins(
            destinations={network.device.pk: digest or network.digest}, actor=actor, at=AT
        )

    @pytest.mark.parametrize("way", WAYS)
    def test_sends_it_where_the_device_is_now(self, network, way):
        WAYS[way](network)
        self.approve(network)

        assert network.state == LoginState.APPROVED
        assert PASSWORD in network.passwords() or "other-secret" in network.passwords()

    def test_is_about_what_was_read(self, network):
        change(network, management_address="198.51.100.1")
        read = network.digest
        change(network, management_address=EVIL)

        with pytest.raises(services_error("DestinationChanged")):
            self.approve(network, digest=read)
        assert network.passwords() == []

    def test_needs_the_right(self, network):
        change(network, management_address=EVIL)
        with pytest.raises(services_error("LoginApprovalRefused")):
            self.approve(network, CHANGES)
        assert network.passwords() == []

    def test_of_many_is_all_or_none(self, network):
        devices = [
            inventory.create_device(
                name=f"new{n}", site=network.device.site, management_address=f"198.51.100.{n}",
                credential_set=network.login, actor=CHANGES, at=AT,
            )
            for n in range(1, 41)
        ]  # fmt: skip
        wanted = {row.pk: login_status(row).destination.digest for row in devices}
        gone = {**wanted, uuid4(): "0" * 64}
        with pytest.raises(services_error("DestinationChanged")):
            inventory.approve_logins(destinations=gone, actor=ACTOR, at=AT)
        assert network.passwords() == [PASSWORD]

        inventory.approve_logins(destinations=wanted, actor=ACTOR, at=AT)

        assert len(network.passwords()) == 41

    def test_a_change_by_somebody_with_the_right_approves_itself(self, network):
        change(network, ACTOR, management_address="198.51.100.7", api_port=8729)

        assert network.passwords() == [PASSWORD]

    def test_but_only_what_it_changed(self, network):
        change(network, management_address=EVIL)
        change(network, ACTOR, api_port=8729)

        assert network.reasons == {HoldReason.ADDRESS}
        assert network.passwords() == []

    def test_attaching_the_first_login_is_the_approval(self, network):
        made = make_device("new")
        inventory.set_device_credentials(
            device=made, credential_sets=[network.login], actor=ACTOR, at=AT
        )

        assert login_status(Device.objects.get(pk=made.pk)).state == LoginState.APPROVED

    def test_is_on_record(self, network):
        change(network, management_address=EVIL)
        self.approve(network)

        last = Record.objects.filter(action="device.login_approved").order_by("sequence").last()
        assert last.entity_id == str(network.device.pk)
        assert last.detail["address"] == EVIL
        assert last.detail["agents"] == [str(network.agent.pk)]

    def test_everything_that_is_there(self, network):
        LoginApproval.objects.all().delete()
        assert network.passwords() == []

        assert inventory.approve_every_login(actor=ACTOR, at=AT) == 1
        assert inventory.approve_every_login(actor=ACTOR, at=AT) == 0
        assert network.passwords() == [PASSWORD]


class TestUpgrade:
    def test_approves_what_is_there(self, network):
        """The statements of the migration, on rows of before."""
        from importlib import import_module

        named = make_device("cr2", credential_set=network.login)
        make_device("bare")
        services.assign_agent(
            agent=network.agent,
            site_ids=[network.device.site_id],
            device_ids=[named.id],
            actor=ACTOR,
            at=AT,
        )
        LoginApproval.objects.all().delete()
        Agent.objects.update(approved_sealing_key=None)
        module = import_module("apps.agents.migrations.0006_approved_hosts")
        with connection.cursor() as cursor:
            cursor.execute(module.APPROVE_LOGINS)
            cursor.execute(module.APPROVE_HOSTS)

        assert LoginApproval.objects.count() == 2
        assert network.passwords() == [PASSWORD, PASSWORD]


def token_of(tenant: Any, user: Any, *scopes: str | None) -> APIClient:
    wanted = None if scopes == (None,) else list(scopes)
    _, text = issue_token(
        tenant=tenant, user=user, name="t", scopes=wanted, actor=ACTOR, at=clock.now()
    )
    return Caller(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})


class TestOverRest:
    CHANGE_AND_READ = ("inventory.change", "inventory.view")
    MANAGE = (
        *CHANGE_AND_READ,
        "credentials.manage",
        "agents.manage",
        "agents.view",
        "diagnostics.run",
    )

    def move(self, client, network, address: str = EVIL) -> dict:
        url = f"/api/v1/devices/{network.device.pk}/"
        answer = client.patch(url, {"management_address": address}, format="json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    @pytest.mark.parametrize(
        "scopes", [CHANGE_AND_READ, MANAGE, (None,)], ids=["change", "manage", "all"]
    )
    def test_a_token_without_the_scope_holds(self, network, acme, acme_admin, scopes):
        client = token_of(acme, acme_admin, *scopes)

        assert self.move(client, network)["login_state"] == "held"
        assert network.passwords() == []

    @pytest.mark.parametrize("scopes", [MANAGE, (None,)], ids=["manage", "all"])
    def test_and_cannot_approve(self, network, acme, acme_admin, scopes):
        client = token_of(acme, acme_admin, *scopes)
        self.move(client, network)
        url = f"/api/v1/devices/{network.device.pk}/"

        one = client.post(f"{url}approve-login/", {"destination": network.digest}, format="json")
        body = {"devices": [{"device": str(network.device.pk), "destination": network.digest}]}
        many = client.post("/api/v1/devices/approve-logins/", body, format="json")
        host = client.post(
            f"/api/v1/agents/{network.agent.pk}/approve-host/",
            {"host_key": network.agent.host_key},
            format="json",
        )

        for answer in (one, many, host):
            assert problem(answer) == (403, "login_approval_refused")
        assert network.passwords() == []

    def test_nor_give_itself_the_scope(self, acme, acme_admin, in_acme):
        for scopes in ((None,), ("tokens.manage", "logins.approve", "credentials.manage")):
            client = token_of(acme, acme_admin, *scopes)
            body = {"name": "more", "scopes": ["logins.approve", "credentials.manage"]}
            assert (
                problem(client.post("/api/v1/tokens/", body, format="json"))[1] == "scope_not_held"
            )

    def test_a_token_with_the_scope_approves(self, network, acme, acme_admin):
        client = token_of(acme, acme_admin, *self.MANAGE, "logins.approve")

        assert self.move(client, network)["login_state"] == "approved"
        assert network.passwords() == [PASSWORD]

    def session(self, user: Any, *, minutes_ago: int = 0) -> APIClient:
        client = Caller(raise_request_exception=False)
        signed_in(client, user)
        session = client.session
        session["authenticated_at"] -= minutes_ago * 60
        session.save()
        return client

    def test_a_person_who_has_just_proven_it_approves(self, network, acme, acme_admin):
        client = self.session(acme_admin)

        assert self.move(client, network)["login_state"] == "approved"
        assert network.passwords() == [PASSWORD]

    def test_a_person_who_has_not_holds_and_is_asked_before_approving(
        self, network, acme, acme_admin
    ):
        client = self.session(acme_admin, minutes_ago=16)
        held = self.move(client, network)
        answer = client.post(
            f"/api/v1/devices/{network.device.pk}/approve-login/", {"destination": network.digest}
        )

        assert held["login_state"] == "held"
        assert problem(answer) == (403, "reauthentication_required")
        assert network.passwords() == []

    def test_a_second_person_reads_and_approves(self, network, acme, acme_admin):
        self.move(token_of(acme, acme_admin, *self.CHANGE_AND_READ), network)
        client = self.session(acme_admin)

        (waiting,) = client.get("/api/v1/devices/held-logins/").json()["results"]
        shown = client.get(f"/api/v1/devices/{network.device.pk}/login/").json()
        assert waiting == shown
        assert shown["reasons"] == ["address"]
        assert (shown["now"]["address"], shown["approved"]["address"]) == (EVIL, "127.20.0.1")
        body = {"devices": [{"device": shown["device"], "destination": shown["destination"]}]}
        answer = client.post("/api/v1/devices/approve-logins/", body, format="json")

        assert answer.status_code == 200, answer.content
        assert answer.json()["results"][0]["login_state"] == "approved"
        assert client.get("/api/v1/devices/held-logins/").json()["results"] == []
        assert network.passwords() == [PASSWORD]

    def test_an_access_session_changes_the_address_and_gets_no_login(
        self, network, acme, acme_admin
    ):
        client = Caller(raise_request_exception=False, headers={"X-ISPVM-Tenant": str(acme.pk)})
        signed_in(client, make_operator())
        reason = "ticket 4711: look at the core router"
        stays = "/api/v1/platform/stays/"
        client.post(stays, {"tenant": str(acme.pk), "reason": reason}, format="json")

        assert self.move(client, network)["login_state"] == "held"
        assert network.passwords() == []
        url = f"/api/v1/devices/{network.device.pk}/approve-login/"
        answer = client.post(url, {"destination": network.digest}, format="json")
        assert answer.status_code == 403
        with acting_in(acme):
            session = BreakGlass.objects.get()
            held = Record.objects.get(action="device.login_held")
        assert held.actor["access_session"] == str(session.pk)

    def test_a_list_says_it_without_a_query_per_device(self, network, acme, acme_admin):
        client = token_of(acme, acme_admin, *self.CHANGE_AND_READ)
        self.move(client, network)
        with acting_in(acme):
            for n in range(5):
                make_device(f"more{n}", credential_set=network.login)

        states = {
            row["name"]: row["login_state"]
            for row in client.get("/api/v1/devices/").json()["results"]
        }

        assert states.pop("cr1") == "held"
        assert set(states.values()) == {"approved"}

    def test_the_admin_pages_hold_for_who_is_not_lately_proven(
        self, network, acme, acme_admin, client
    ):
        signed_in(client, acme_admin)
        session = client.session
        session["authenticated_at"] -= 16 * 60
        session.save()
        url = f"/admin/inventory/device/{network.device.pk}/change/"
        form = {
            "name": "cr1", "site": str(network.device.site_id), "role": "core",
            "management_address": EVIL, "api_port": "8728", "polling_profile": "{}", "tags": "[]",
            "credential_set": str(network.login.pk),
        }  # fmt: skip

        answer = client.post(url, form, follow=True)

        assert "The login is held" in answer.content.decode()
        with acting_in(acme):
            assert network.refresh().management_address == EVIL
            assert network.passwords() == []


class TestConnectionTests:
    def alive(self, network) -> None:
        services.record_heartbeat(agent_id=network.agent.id, at=AT)

    def take(self, network) -> dict | None:
        from apps.diagnostics.services import claim_test

        return claim_test(agent_id=network.agent.id, at=AT)

    def ask(self, network, actor: Actor = CHANGES, **fields):
        from apps.diagnostics.services import request_test

        return request_test(device=network.refresh(), actor=actor, at=AT, **fields)

    def test_is_refused_while_the_login_is_held(self, network):
        self.alive(network)
        change(network, management_address=EVIL)

        for login in (None, network.login):
            with pytest.raises(services_error("LoginHeld")), transaction.atomic():
                self.ask(network, credential_set=login)
        assert self.take(network) is None

    def test_sends_nothing_to_an_address_that_changed_after_it_was_asked(self, network):
        self.alive(network)
        self.ask(network)
        change(network, management_address=EVIL)

        assert self.take(network)["device"]["credentials"] == []

    def test_another_set_needs_the_right(self, network):
        self.alive(network)
        other = store("core", "other-secret")

        with pytest.raises(services_error("LoginApprovalRefused")), transaction.atomic():
            self.ask(network, credential_set=other)

    def test_and_goes_only_where_the_asker_saw_the_device(self, network):
        self.alive(network)
        self.ask(network, ACTOR, credential_set=store("core", "other-secret"))
        change(network, management_address=EVIL)

        assert self.take(network)["device"]["credentials"] == []

    def test_or_there(self, network):
        self.alive(network)
        self.ask(network, ACTOR, credential_set=store("core", "other-secret"))

        assert len(self.take(network)["device"]["credentials"]) == 1

    def test_sends_nothing_to_another_host(self, network):
        self.alive(network)
        self.ask(network, ACTOR, credential_set=store("core", "other-secret"))
        services.record_heartbeat(
            agent_id=network.agent.id, sealing_public_key=sealing_key()[1], at=AT
        )

        assert self.take(network)["device"]["credentials"] == []


class TestCertificates:
    PIN, OTHER = "a" * 64, "b" * 64

    def told(self, network, *, agent_id: UUID | None = None, **item) -> None:
        actor = Actor.agent(agent_id or network.agent.id, "pop-1")
        patch = {"devices": [{"id": str(network.device.id), **item}]}
        inventory.apply_discovery(patch=patch, device_ids=[network.device.id], actor=actor, at=AT)

    @pytest.fixture
    def pinned(self, network) -> Network:
        change(network, ACTOR, api_tls=True)
        assert network.told()["tls_certificate"] is None
        self.told(network, certificate=self.PIN)
        assert network.told()["tls_certificate"] == self.PIN
        return network

    def test_the_first_accepted_one_stays(self, pinned):
        self.told(pinned, certificate=self.OTHER)

        assert pinned.told()["tls_certificate"] == self.PIN

    def test_another_one_waits_for_a_decision(self, pinned):
        Device.objects.update(last_seen_at=None)
        self.told(pinned, presented_certificate=self.OTHER)

        assert pinned.state == LoginState.CERTIFICATE_CHANGED
        assert pinned.told()["tls_certificate"] == self.PIN
        told = Record.objects.get(action="device.certificate_changed")
        assert told.detail["certificate"] == [self.PIN, self.OTHER]
        assert pinned.refresh().last_seen_at is None, "it was not read"

    def test_is_accepted_by_somebody_with_the_right_as_they_read_it(self, pinned):
        self.told(pinned, presented_certificate=self.OTHER)
        for actor, certificate, refusal in (
            (CHANGES, self.OTHER, "LoginApprovalRefused"),
            (ACTOR, "c" * 64, "DestinationChanged"),
        ):
            with pytest.raises(services_error(refusal)):
                inventory.accept_certificate(
                    device=pinned.device, certificate=certificate, actor=actor, at=AT
                )
        inventory.accept_certificate(
            device=pinned.device, certificate=self.OTHER, actor=ACTOR, at=AT
        )

        assert pinned.state == LoginState.APPROVED
        assert pinned.told()["tls_certificate"] == self.OTHER

    def test_the_old_one_back_ends_it(self, pinned):
        self.told(pinned, presented_certificate=self.OTHER)
        self.told(pinned, certificate=self.PIN)

        assert pinned.state == LoginState.APPROVED

    def test_another_endpoint_has_another_certificate(self, pinned):
        change(pinned, ACTOR, management_address="198.51.100.9")
        assert pinned.told()["tls_certificate"] is None

    def test_a_change_that_is_not_approved_keeps_the_pin(self, pinned):
        change(pinned, management_address="198.51.100.9")
        self.told(pinned, certificate=self.OTHER)
        change(pinned, management_address="127.20.0.1")

        assert pinned.told()["tls_certificate"] == self.PIN

    def test_an_agent_that_has_no_login_is_not_believed(self, network):
        change(network, ACTOR, api_tls=True)
        self.told(network, agent_id=uuid4(), certificate=self.OTHER)

        assert network.told()["tls_certificate"] is None

    @pytest.mark.parametrize("text", ["A" * 64, "a" * 63, "a" * 65, "", "x" * 64, 7])
    def test_is_a_digest(self, network, text):
        change(network, ACTOR, api_tls=True)
        self.told(network, certificate=text)

        assert network.told()["tls_certificate"] is None


def test_passwords_leave_through_one_place():
    """Whoever opens a credential set asks ``ReleasedLogins`` which."""
    import re
    from pathlib import Path

    apps = Path(__file__).parents[2] / "apps"
    opening = {
        str(path.relative_to(apps))
        for path in apps.rglob("*.py")
        if re.search(r"\bopen_credential_set\(", path.read_text(encoding="utf-8"))
    }

    assert opening == {
        "vault/services/credentials.py",
        "agents/services/config.py",
        "diagnostics/services.py",
    }


def test_a_token_says_what_it_may(acme, acme_admin, in_acme):
    _, text = issue_token(tenant=acme, user=acme_admin, name="t", actor=ACTOR, at=clock.now())
    access = access_for_token(text, clock.now())

    assert access is not None
    assert not access.may(Permission.LOGINS_APPROVE)
    assert not access.actor.approves_logins
