"""A network with an approved router login, and changes of its destination, for the tests of login approval."""

from dataclasses import dataclass
from typing import Any

import pytest

from agent.protocol.sealing import open_sealed
from apps.agents import services
from apps.agents.models import Agent
from apps.authorization.actors import Actor
from apps.inventory import services as inventory
from apps.inventory.choices import HoldReason, LoginState
from apps.inventory.destinations import login_status
from apps.inventory.models import Device
from apps.vault.models import CredentialSet
from apps.vault.services import store_credential_set
from tests.agents.factories import ACTOR, AT, enroll, make_agent, sealing_key
from tests.inventory.factories import make_site

pytestmark = pytest.mark.django_db

PASSWORD = "router-canary-5520"
#: An actor that may only change devices: an admin's token with that one scope.
CHANGE_ONLY = Actor("token", "00000000-0000-4000-8000-000000000001", "inventory only")
OTHER_ADDRESS = "198.51.100.66"


@dataclass
class Network:
    """cr1 is polled by the agent of its site; its login is approved."""

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

    def config_of(self, agent: Agent | None = None, device: Device | None = None) -> dict:
        _, document = services.build_config(agent_id=(agent or self.agent).id, at=AT)
        device_id = str((device or self.device).id)
        return next(row for row in document["devices"] if row["id"] == device_id)

    def passwords(self, agent: Agent | None = None, key: Any = None) -> list[str]:
        """All passwords that the agent's host can open."""
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


def change(network: Network, actor: Actor = CHANGE_ONLY, **changes) -> None:
    inventory.update_device(device=network.refresh(), changes=changes, actor=actor, at=AT)


def other_site(network: Network) -> dict:
    return {"site": make_site("elsewhere")}


WAYS = {
    "address": lambda n: change(n, management_address=OTHER_ADDRESS),
    "port": lambda n: change(n, api_port=8729),
    "tls switched": lambda n: change(n, api_tls=True),
    "another credential set": lambda n: change(n, credential_set=store("core", "other-secret")),
    "further credential sets": lambda n: inventory.set_device_credentials(
        device=n.refresh(),
        credential_sets=[n.login, store("core", "other-secret")],
        actor=CHANGE_ONLY,
        at=AT,
    ),
    "all at once": lambda n: change(
        n, name="cr1-new", management_address=OTHER_ADDRESS, api_port=1, api_tls=True
    ),
}


def error_class(name: str) -> type[Exception]:
    from apps.inventory import errors

    error: type[Exception] = getattr(errors, name)
    return error
