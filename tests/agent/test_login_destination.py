"""A changed address receives no login until it is approved: the real agent, the real ingest application."""

import json
from pathlib import Path

import pytest

from agent.__main__ import main
from apps.accounts.models import Membership, User
from apps.accounts.selectors import access_for_token
from apps.accounts.services import issue_token
from apps.authorization.choices import Role
from apps.core import clock
from apps.inventory import services as inventory
from apps.inventory.destinations import login_status
from apps.inventory.models import Device
from apps.telemetry.models import Event
from apps.tenancy import acting_in
from apps.vault.services import store_credential_set
from tests.agent.conftest import ACTOR
from tests.agent.fake_router import MENUS, PASSWORD, FakeRouter
from tests.agent.test_end_to_end import names, running
from tests.inventory.factories import AT
from tests.supervisor.waiting import eventually

ELSEWHERE = "127.66.66.66"


@pytest.fixture
def router():
    instance = FakeRouter(dict(MENUS))
    yield instance
    instance.close()


@pytest.fixture
def impostor(router):
    """Another machine with the RouterOS API on the same port."""
    instance = FakeRouter(dict(MENUS), address=ELSEWHERE, port=router.port)
    yield instance
    instance.close()


def token_actor_that_may_change_devices(ingest):
    admin = User.objects.create_user("admin@acme.example", None)
    Membership.objects.create(tenant=ingest.tenant, user=admin, role=Role.ADMIN)
    _, text = issue_token(
        tenant=ingest.tenant, user=admin, name="cmdb", scopes=["inventory.change"],
        actor=ACTOR, at=clock.now(),
    )  # fmt: skip
    access = access_for_token(text, clock.now())
    assert access is not None
    return access.actor


def reasons(ingest) -> list[str]:
    """Reasons of degraded monitoring, as reported by the agent."""
    with acting_in(ingest.tenant):
        rows = Event.objects.filter(event_type="monitoring.degraded")
        return list(rows.values_list("payload__reason", flat=True))


def test_an_address_changed_by_a_token_is_sent_no_login_until_approved(
    ingest, router, impostor, tmp_path: Path
):
    with acting_in(ingest.tenant):
        login = store_credential_set(
            name="r", kind="routeros_api", username="mon", secret=PASSWORD, actor=ACTOR, at=AT
        )
    token, device = ingest.token(
        management_address="127.0.0.1", api_port=router.port, credential_set=login,
        polling_profile={"fast_s": 1},
    )  # fmt: skip
    state = tmp_path / "state"
    assert main(["enroll", "--token", token, "--state-dir", str(state)]) == 0

    def configured() -> dict:
        return json.loads((state / "config.json").read_text())["devices"][0]

    with running(state):
        eventually(lambda: "device.cpu_pct" in names(ingest))
        assert router.logins == 1
        with acting_in(ingest.tenant):
            inventory.update_device(
                device=Device.objects.get(pk=device.pk),
                changes={"management_address": ELSEWHERE},
                actor=token_actor_that_may_change_devices(ingest),
                at=clock.now(),
            )
        eventually(lambda: configured()["address"] == ELSEWHERE)
        eventually(lambda: any("awaits approval" in reason for reason in reasons(ingest)))

        assert configured()["login_held"] is True
        assert impostor.commands == []
        assert router.logins == 1
        with acting_in(ingest.tenant):
            status = login_status(Device.objects.get(pk=device.pk))
            inventory.approve_logins(
                destinations={device.pk: status.destination.digest}, actor=ACTOR, at=clock.now()
            )
        eventually(lambda: impostor.logins > 0)

    assert impostor.logins == 1, "approved, and so it is sent"
