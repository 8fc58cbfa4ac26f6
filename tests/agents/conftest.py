"""Fixtures of the agents tests."""

import pytest

from apps.inventory.choices import LoginState
from tests.agents.router_logins import PASSWORD, Network, start_agent, store
from tests.inventory.factories import make_device, make_site


@pytest.fixture
def network(in_acme) -> Network:
    site, login = make_site(), store()
    device = make_device("cr1", site=site, credential_set=login)
    agent, key = start_agent("pop-1", site_ids=[site.id])
    network = Network(agent, key, device, login)
    assert network.state == LoginState.APPROVED
    assert network.passwords() == [PASSWORD]
    return network
