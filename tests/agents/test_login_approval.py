"""Destinations of router logins: only users with the permission approve them; other changes hold the login."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection

from apps.agents import services
from apps.agents.models import Agent, AgentDevice
from apps.audit.models import Record
from apps.authorization.actors import Actor
from apps.inventory import services as inventory
from apps.inventory.choices import HoldReason, LoginState
from apps.inventory.destinations import login_status
from apps.inventory.models import LoginApproval
from apps.tenancy import acting_in
from apps.vault.models import CredentialSet
from tests.agents.csr import make_csr
from tests.agents.factories import ACTOR, AT, make_agent, sealing_key
from tests.agents.router_logins import (
    CHANGE_ONLY,
    OTHER_ADDRESS,
    PASSWORD,
    WAYS,
    change,
    error_class,
    start_agent,
    store,
)
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db


class TestChangesWithoutApprovalPermission:
    @pytest.mark.parametrize("way", WAYS)
    def test_a_changed_destination_holds_the_login(self, network, way):
        WAYS[way](network)

        config = network.config_of()
        assert network.state == LoginState.HELD
        assert network.passwords() == []
        assert config["credential"] is None
        assert config["login_held"] is True
        assert config["address"] == network.device.management_address, "probing continues"
        held = Record.objects.get(action="device.login_held")
        assert held.actor["label"] == CHANGE_ONLY.label

    def test_restoring_the_destination_releases_the_login(self, network):
        change(network, management_address=OTHER_ADDRESS)
        change(network, management_address="127.20.0.1")

        assert network.passwords() == [PASSWORD]

    @pytest.mark.parametrize(
        "changes",
        [{"name": "cr9"}, {"tags": ["x"]}, {"role": "edge"}, {"polling_profile": {"fast_s": 5}}],
    )
    def test_other_fields_do_not_hold_the_login(self, network, changes):
        change(network, **changes)

        assert network.passwords() == [PASSWORD]

    @pytest.mark.parametrize(
        "name", ["address", "port", "tls", "management_address", "credential_set"]
    )
    def test_a_polling_profile_cannot_contain_a_destination(self, network, name):
        with pytest.raises(ValidationError):
            change(network, polling_profile={name: 1})

        assert network.passwords() == [PASSWORD]

    def test_a_new_device_holds_the_login(self, network):
        site = network.device.site
        device = inventory.create_device(
            name="other", site=site, management_address=OTHER_ADDRESS, credential_set=network.login,
            actor=CHANGE_ONLY, at=AT,
        )  # fmt: skip

        assert login_status(device).reasons == (HoldReason.NEVER_APPROVED,)
        assert network.passwords() == [PASSWORD]
        assert network.config_of(device=device)["login_held"] is True

    def test_deleting_and_creating_a_device_holds_the_login(self, network):
        site = network.device.site
        inventory.delete_device(device=network.device, actor=CHANGE_ONLY, at=AT)
        inventory.create_device(
            name="cr1", site=site, management_address=OTHER_ADDRESS, credential_set=network.login,
            actor=CHANGE_ONLY, at=AT,
        )  # fmt: skip

        assert network.passwords() == []
        assert not LoginApproval.objects.exists()

    def test_removing_and_adding_the_credential_set_holds_the_login(self, network):
        change(network, credential_set=None)
        assert network.state == LoginState.NONE
        change(network, management_address=OTHER_ADDRESS)
        change(network, credential_set=network.login)

        assert network.state == LoginState.HELD
        assert network.passwords() == []

    def test_another_notation_of_the_address_is_no_change(self, network):
        change(network, ACTOR, management_address="2001:db8::1")
        change(network, management_address="2001:0DB8:0:0::1")

        assert network.passwords() == [PASSWORD]

    def test_discovery_cannot_change_a_destination(self, network):
        """Discovery never sets address, port or credentials."""
        agent = Actor.agent(network.agent.id, network.agent.name)
        item = {
            "id": str(network.device.id), "identity": "forged", "management_address": OTHER_ADDRESS,
            "address": OTHER_ADDRESS, "api_port": 1, "api_tls": True, "credential_set": str(uuid4()),
        }  # fmt: skip
        inventory.apply_discovery(
            patch={"devices": [item]}, device_ids=[network.device.id], actor=agent, at=AT
        )

        assert network.refresh().identity == "forged"
        assert network.device.management_address == "127.20.0.1"
        assert (network.device.api_port, network.device.api_tls) == (8728, False)
        assert network.passwords() == [PASSWORD]


class TestAssignments:
    """Newly assigned agents receive no credentials without approval."""

    def test_another_agent_assigned_to_the_device(self, network):
        unapproved, key = start_agent("unapproved")
        services.assign_agent(
            agent=unapproved, device_ids=[network.device.id], actor=CHANGE_ONLY, at=AT
        )

        assert network.passwords(unapproved, key) == []
        assert network.config_of(unapproved)["login_held"] is True
        assert network.reasons == {HoldReason.AGENTS}

    def test_the_approved_agent_keeps_the_login(self, network):
        services.assign_agent(
            agent=network.agent, device_ids=[network.device.id], actor=ACTOR, at=AT
        )
        unapproved, key = start_agent("unapproved")
        services.assign_agent(
            agent=unapproved, device_ids=[network.device.id], actor=CHANGE_ONLY, at=AT
        )

        assert network.passwords(unapproved, key) == []
        assert network.passwords() == [PASSWORD]

    def test_another_agent_assigned_to_the_site(self, network):
        unapproved, key = start_agent("unapproved")
        services.assign_agent(
            agent=unapproved, site_ids=[network.device.site_id], actor=CHANGE_ONLY, at=AT
        )

        assert network.passwords(unapproved, key) == []
        assert network.passwords() == [PASSWORD]

    def test_a_device_moved_to_another_agents_site(self, network):
        site = make_site("elsewhere")
        unapproved, key = start_agent("unapproved", site_ids=[site.id])
        change(network, site=site)

        assert network.config_of(unapproved)["login_held"] is True
        assert network.passwords(unapproved, key) == []

    def test_a_device_that_returns_to_its_sites_agent(self, network):
        """Without the individual assignment the site's agent polls it."""
        assigned, key = start_agent("named", device_ids=[network.device.id])
        assert network.passwords(assigned, key) == [PASSWORD]
        services.assign_agent(agent=assigned, actor=CHANGE_ONLY, at=AT)

        assert network.config_of()["login_held"] is True
        assert network.passwords() == []

    def test_an_unassigned_agent_loses_the_approval(self, network):
        services.assign_agent(agent=network.agent, actor=CHANGE_ONLY, at=AT)
        services.assign_agent(
            agent=network.agent, site_ids=[network.device.site_id], actor=CHANGE_ONLY, at=AT
        )

        assert network.passwords() == []
        assert network.reasons == {HoldReason.AGENTS}

    def test_an_approver_assigning_an_agent_approves_it(self, network):
        second, key = start_agent("second", device_ids=[network.device.id])

        assert network.passwords(second, key) == [PASSWORD]
        assert network.state == LoginState.APPROVED

    def test_an_approvers_assignment_does_not_approve_earlier_changes(self, network):
        change(network, management_address=OTHER_ADDRESS)
        second, key = start_agent("second", device_ids=[network.device.id])

        assert network.reasons == {HoldReason.ADDRESS}
        assert network.passwords(second, key) == []

    def test_deleting_an_agent_does_not_approve_the_next(self, network):
        assigned, _ = start_agent("named", device_ids=[network.device.id])
        services.delete_agent(agent=assigned, actor=CHANGE_ONLY, at=AT)

        assert network.passwords() == []


@pytest.mark.django_db(transaction=True)
def test_concurrent_assignments_are_serialized(acme):
    """An assignment during an approver's assignment would be attributed to the approver."""
    with acting_in(acme):
        device = make_device("cr1", credential_set=store())
        unapproved = make_agent("unapproved")
        mine = make_agent("mine")

    def assign_unapproved() -> str:
        try:
            with acting_in(acme), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '300ms'")
                services.assign_agent(
                    agent=unapproved, device_ids=[device.id], actor=CHANGE_ONLY, at=AT
                )
        except OperationalError as error:
            return str(error)
        finally:
            connection.close()
        return "assigned"

    with ThreadPoolExecutor(1) as pool, acting_in(acme):
        with inventory.assignment_change(actor=ACTOR, at=AT):
            error = pool.submit(assign_unapproved).result()
            AgentDevice.objects.create(agent=mine, device=device)
        assert "lock timeout" in error
        assert LoginApproval.objects.get().agents == [str(mine.id)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["create", "approve"])
def test_approvals_wait_for_assignment_changes(acme, way):
    """Lock order everywhere: assignments, then devices and approvals. Another order could deadlock."""
    with acting_in(acme):
        device, login = make_device("cr1", credential_set=store()), store("second")
        digest = login_status(device).destination.digest

    def approve() -> None:
        if way == "create":
            make_device("cr2", credential_set=login)
        else:
            inventory.approve_logins(destinations={device.id: digest}, actor=ACTOR, at=AT)

    def approve_in_thread() -> str:
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
            assert "lock timeout" in pool.submit(approve_in_thread).result()


class TestCredentialSetsWithAHeldOne:
    """A credential set added without permission stays held, whatever an approver changes."""

    @pytest.fixture
    def foreign(self, network) -> CredentialSet:
        added = store("foreign", "foreign-secret")
        self.attach(network, [network.login, added], CHANGE_ONLY)
        assert network.reasons == {HoldReason.CREDENTIAL_SETS}
        return added

    def attach(self, network, rows: list[CredentialSet], actor: Actor = ACTOR) -> None:
        inventory.set_device_credentials(
            device=network.refresh(), credential_sets=rows, actor=actor, at=AT
        )

    def approved(self) -> set[str]:
        return set(LoginApproval.objects.get().credential_sets)

    def test_adding_another_approves_only_that_one(self, network, foreign):
        mine = store("mine", "my-secret")
        self.attach(network, [network.login, foreign, mine])

        assert self.approved() == {str(network.login.id), str(mine.id)}
        assert network.reasons == {HoldReason.CREDENTIAL_SETS}
        assert network.passwords() == []

    def test_removing_another_approves_nothing(self, network, foreign):
        self.attach(network, [foreign])

        assert self.approved() == set()
        assert network.passwords() == []

    def test_reordering_approves_nothing(self, network, foreign):
        self.attach(network, [foreign, network.login])

        assert self.approved() == {str(network.login.id)}
        assert network.passwords() == []

    def test_removing_the_foreign_one_releases_the_rest(self, network, foreign):
        self.attach(network, [network.login])

        assert network.passwords() == [PASSWORD]

    def test_a_removed_set_loses_the_approval(self, network):
        mine = store("mine", "my-secret")
        self.attach(network, [mine])
        self.attach(network, [mine, network.login], CHANGE_ONLY)

        assert self.approved() == {str(mine.id)}
        assert network.passwords() == []


def test_adding_a_credential_set_does_not_approve_an_earlier_address_change(network):
    change(network, ACTOR, credential_set=None)
    change(network, management_address=OTHER_ADDRESS)
    change(network, ACTOR, credential_set=network.login)

    assert network.reasons == {HoldReason.ADDRESS}
    assert network.passwords() == []


class TestHosts:
    """Credentials are sealed only to an approved host."""

    def enroll(self, network, actor: Actor) -> Any:
        token = services.issue_enroll_token(agent=network.agent, actor=actor, at=AT)
        key, public = sealing_key()
        services.enroll_agent(
            token=token.text, csr_pem=make_csr(), at=AT, sealing_public_key=public
        )
        return key

    def test_another_host_of_the_agent_is_not_approved(self, network):
        key = self.enroll(network, CHANGE_ONLY)

        assert network.passwords(key=key) == []
        assert network.config_of()["login_held"] is True
        assert network.reasons == {HoldReason.AGENT_HOST}

    def test_a_new_sealing_key_in_a_heartbeat_is_not_approved(self, network):
        key, public = sealing_key()
        services.record_heartbeat(agent_id=network.agent.id, sealing_public_key=public, at=AT)

        assert network.passwords(key=key) == []

    def test_a_token_issued_by_an_approver_approves_the_host(self, network):
        key = self.enroll(network, ACTOR)

        assert network.passwords(key=key) == [PASSWORD]

    def test_approves_the_shown_host_only(self, network):
        key = self.enroll(network, CHANGE_ONLY)
        agent = Agent.objects.get(pk=network.agent.pk)
        for actor, host_key, refused in (
            (CHANGE_ONLY, agent.host_key, error_class("LoginApprovalRefused")),
            (ACTOR, "0" * 64, error_class("DestinationChanged")),
            (ACTOR, "", error_class("DestinationChanged")),
        ):
            with pytest.raises(refused):
                services.approve_agent_host(agent=agent, host_key=host_key, actor=actor, at=AT)
        assert network.passwords(key=key) == []

        services.approve_agent_host(agent=agent, host_key=agent.host_key, actor=ACTOR, at=AT)

        assert network.passwords(key=key) == [PASSWORD]
