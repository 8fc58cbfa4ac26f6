"""A member who looks at pages."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import PASSWORD
from tests.incidents.monitored_network import MonitoredNetwork


@pytest.fixture
def visit() -> Callable[..., Client]:
    def login(user) -> Client:
        client = Client()
        assert client.login(username=user.email, password=PASSWORD)
        client.get("/search/")  # the first page of a minute also notes that the session was seen
        return client

    return login


@pytest.fixture
def stage(acme) -> MonitoredNetwork:
    return MonitoredNetwork(acme)


@pytest.fixture
def _now(stage: MonitoredNetwork, monkeypatch) -> None:
    """Pages look at second 48 of the stage."""
    from apps.core import clock

    monkeypatch.setattr(clock, "now", lambda: stage.at(48))
