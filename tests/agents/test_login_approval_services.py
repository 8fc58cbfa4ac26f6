"""Approving destinations, connection tests to held logins, and pinned TLS certificates."""

from uuid import UUID, uuid4

import pytest
from django.db import transaction

from apps.agents import services
from apps.audit.models import Record
from apps.authorization.actors import Actor
from apps.inventory import services as inventory
from apps.inventory.choices import HoldReason, LoginState
from apps.inventory.destinations import login_status
from apps.inventory.models import Device, LoginApproval
from tests.agents.factories import ACTOR, AT, sealing_key
from tests.agents.router_logins import (
    CHANGE_ONLY,
    OTHER_ADDRESS,
    PASSWORD,
    WAYS,
    Network,
    change,
    error_class,
    store,
)
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db


class TestApproving:
    def approve(self, network, actor: Actor = ACTOR, digest: str = "") -> None:
        inventory.approve_logins(
            destinations={network.device.pk: digest or network.digest}, actor=actor, at=AT
        )

    @pytest.mark.parametrize("way", WAYS)
    def test_approves_the_present_destination(self, network, way):
        WAYS[way](network)
        self.approve(network)

        assert network.state == LoginState.APPROVED
        assert PASSWORD in network.passwords() or "other-secret" in network.passwords()

    def test_approves_the_shown_destination_only(self, network):
        change(network, management_address="198.51.100.1")
        shown = network.digest
        change(network, management_address=OTHER_ADDRESS)

        with pytest.raises(error_class("DestinationChanged")):
            self.approve(network, digest=shown)
        assert network.passwords() == []

    def test_needs_the_permission(self, network):
        change(network, management_address=OTHER_ADDRESS)
        with pytest.raises(error_class("LoginApprovalRefused")):
            self.approve(network, CHANGE_ONLY)
        assert network.passwords() == []

    def test_several_devices_are_all_or_none(self, network):
        devices = [
            inventory.create_device(
                name=f"new{n}", site=network.device.site, management_address=f"198.51.100.{n}",
                credential_set=network.login, actor=CHANGE_ONLY, at=AT,
            )
            for n in range(1, 41)
        ]  # fmt: skip
        destinations = {row.pk: login_status(row).destination.digest for row in devices}
        with_deleted = {**destinations, uuid4(): "0" * 64}
        with pytest.raises(error_class("DestinationChanged")):
            inventory.approve_logins(destinations=with_deleted, actor=ACTOR, at=AT)
        assert network.passwords() == [PASSWORD]

        inventory.approve_logins(destinations=destinations, actor=ACTOR, at=AT)

        assert len(network.passwords()) == 41

    def test_an_approvers_change_is_approved(self, network):
        change(network, ACTOR, management_address="198.51.100.7", api_port=8729)

        assert network.passwords() == [PASSWORD]

    def test_an_approvers_change_does_not_approve_earlier_changes(self, network):
        change(network, management_address=OTHER_ADDRESS)
        change(network, ACTOR, api_port=8729)

        assert network.reasons == {HoldReason.ADDRESS}
        assert network.passwords() == []

    def test_adding_the_first_credential_set_approves_it(self, network):
        device = make_device("new")
        inventory.set_device_credentials(
            device=device, credential_sets=[network.login], actor=ACTOR, at=AT
        )

        assert login_status(Device.objects.get(pk=device.pk)).state == LoginState.APPROVED

    def test_is_audited(self, network):
        change(network, management_address=OTHER_ADDRESS)
        self.approve(network)

        last = Record.objects.filter(action="device.login_approved").order_by("sequence").last()
        assert last.entity_id == str(network.device.pk)
        assert last.detail["address"] == OTHER_ADDRESS
        assert last.detail["agents"] == [str(network.agent.pk)]

    def test_approves_all_devices(self, network):
        LoginApproval.objects.all().delete()
        assert network.passwords() == []

        assert inventory.approve_all_logins(actor=ACTOR, at=AT) == 1
        assert inventory.approve_all_logins(actor=ACTOR, at=AT) == 0
        assert network.passwords() == [PASSWORD]


class TestConnectionTests:
    def set_alive(self, network) -> None:
        services.record_heartbeat(agent_id=network.agent.id, at=AT)

    def take_test(self, network) -> dict | None:
        from apps.diagnostics.services import claim_test

        return claim_test(agent_id=network.agent.id, at=AT)

    def request(self, network, actor: Actor = CHANGE_ONLY, **fields):
        from apps.diagnostics.services import request_test

        return request_test(device=network.refresh(), actor=actor, at=AT, **fields)

    def test_is_refused_while_the_login_is_held(self, network):
        self.set_alive(network)
        change(network, management_address=OTHER_ADDRESS)

        for login in (None, network.login):
            with pytest.raises(error_class("LoginHeld")), transaction.atomic():
                self.request(network, credential_set=login)
        assert self.take_test(network) is None

    def test_sends_no_credentials_to_an_address_changed_after_the_request(self, network):
        self.set_alive(network)
        self.request(network)
        change(network, management_address=OTHER_ADDRESS)

        assert self.take_test(network)["device"]["credentials"] == []

    def test_another_credential_set_needs_the_permission(self, network):
        self.set_alive(network)
        other = store("core", "other-secret")

        with pytest.raises(error_class("LoginApprovalRefused")), transaction.atomic():
            self.request(network, credential_set=other)

    def test_another_credential_set_is_not_sent_to_a_changed_address(self, network):
        self.set_alive(network)
        self.request(network, ACTOR, credential_set=store("core", "other-secret"))
        change(network, management_address=OTHER_ADDRESS)

        assert self.take_test(network)["device"]["credentials"] == []

    def test_another_credential_set_is_sent_to_the_approved_address(self, network):
        self.set_alive(network)
        self.request(network, ACTOR, credential_set=store("core", "other-secret"))

        assert len(self.take_test(network)["device"]["credentials"]) == 1

    def test_sends_no_credentials_to_another_host(self, network):
        self.set_alive(network)
        self.request(network, ACTOR, credential_set=store("core", "other-secret"))
        services.record_heartbeat(
            agent_id=network.agent.id, sealing_public_key=sealing_key()[1], at=AT
        )

        assert self.take_test(network)["device"]["credentials"] == []


class TestCertificates:
    PIN, OTHER = "a" * 64, "b" * 64

    def report(self, network, *, agent_id: UUID | None = None, **item) -> None:
        actor = Actor.agent(agent_id or network.agent.id, "pop-1")
        patch = {"devices": [{"id": str(network.device.id), **item}]}
        inventory.apply_discovery(patch=patch, device_ids=[network.device.id], actor=actor, at=AT)

    @pytest.fixture
    def pinned(self, network) -> Network:
        change(network, ACTOR, api_tls=True)
        assert network.config_of()["tls_certificate"] is None
        self.report(network, certificate=self.PIN)
        assert network.config_of()["tls_certificate"] == self.PIN
        return network

    def test_the_first_accepted_certificate_is_pinned(self, pinned):
        self.report(pinned, certificate=self.OTHER)

        assert pinned.config_of()["tls_certificate"] == self.PIN

    def test_another_certificate_needs_acceptance(self, pinned):
        Device.objects.update(last_seen_at=None)
        self.report(pinned, presented_certificate=self.OTHER)

        assert pinned.state == LoginState.CERTIFICATE_CHANGED
        assert pinned.config_of()["tls_certificate"] == self.PIN
        record = Record.objects.get(action="device.certificate_changed")
        assert record.detail["certificate"] == [self.PIN, self.OTHER]
        assert pinned.refresh().last_seen_at is None, "it was not polled"

    def test_an_approver_accepts_the_shown_certificate(self, pinned):
        self.report(pinned, presented_certificate=self.OTHER)
        for actor, certificate, refusal in (
            (CHANGE_ONLY, self.OTHER, "LoginApprovalRefused"),
            (ACTOR, "c" * 64, "DestinationChanged"),
        ):
            with pytest.raises(error_class(refusal)):
                inventory.accept_certificate(
                    device=pinned.device, certificate=certificate, actor=actor, at=AT
                )
        inventory.accept_certificate(
            device=pinned.device, certificate=self.OTHER, actor=ACTOR, at=AT
        )

        assert pinned.state == LoginState.APPROVED
        assert pinned.config_of()["tls_certificate"] == self.OTHER

    def test_the_pinned_certificate_clears_the_state(self, pinned):
        self.report(pinned, presented_certificate=self.OTHER)
        self.report(pinned, certificate=self.PIN)

        assert pinned.state == LoginState.APPROVED

    def test_another_endpoint_clears_the_pin(self, pinned):
        change(pinned, ACTOR, management_address="198.51.100.9")
        assert pinned.config_of()["tls_certificate"] is None

    def test_an_unapproved_change_keeps_the_pin(self, pinned):
        change(pinned, management_address="198.51.100.9")
        self.report(pinned, certificate=self.OTHER)
        change(pinned, management_address="127.20.0.1")

        assert pinned.config_of()["tls_certificate"] == self.PIN

    def test_reports_of_an_unapproved_agent_are_ignored(self, network):
        change(network, ACTOR, api_tls=True)
        self.report(network, agent_id=uuid4(), certificate=self.OTHER)

        assert network.config_of()["tls_certificate"] is None

    @pytest.mark.parametrize("text", ["A" * 64, "a" * 63, "a" * 65, "", "x" * 64, 7])
    def test_an_invalid_digest_is_ignored(self, network, text):
        change(network, ACTOR, api_tls=True)
        self.report(network, certificate=text)

        assert network.config_of()["tls_certificate"] is None


def test_only_known_modules_open_credential_sets():
    """Modules that open credential sets must check ``ApprovedCredentials``."""
    import re
    from pathlib import Path

    apps = Path(__file__).parents[2] / "apps"
    modules = {
        str(path.relative_to(apps))
        for path in apps.rglob("*.py")
        if re.search(r"\bopen_credential_set\(", path.read_text(encoding="utf-8"))
    }

    assert modules == {
        "vault/services/credentials.py",
        "agents/services/config.py",
        "diagnostics/services.py",
    }
