"""Signed-in clients, and a monitored network."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import PASSWORD
from tests.incidents.monitored_network import MonitoredNetwork


@pytest.fixture
def log_in() -> Callable[..., Client]:
    def log_in_as(user) -> Client:
        client = Client()
        assert client.login(username=user.email, password=PASSWORD)
        client.get("/search/")  # the first request of a minute also updates the session
        return client

    return log_in_as


@pytest.fixture
def stage(acme) -> MonitoredNetwork:
    return MonitoredNetwork(acme)


@pytest.fixture
def _now(stage: MonitoredNetwork, monkeypatch) -> None:
    """The clock stands at second 48 of the monitored network."""
    from apps.core import clock

    monkeypatch.setattr(clock, "now", lambda: stage.at(48))
