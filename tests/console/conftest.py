"""A member who looks at pages."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import PASSWORD
from tests.incidents.stage import Stage


@pytest.fixture
def visit() -> Callable[..., Client]:
    def login(user) -> Client:
        client = Client()
        assert client.login(username=user.email, password=PASSWORD)
        client.get("/search/")  # the first page of a minute also notes that the session was seen
        return client

    return login


@pytest.fixture
def stage(acme) -> Stage:
    return Stage(acme)


@pytest.fixture
def _now(stage: Stage, monkeypatch) -> None:
    """Pages look at second 48 of the stage."""
    from apps.core import clock

    monkeypatch.setattr(clock, "now", lambda: stage.at(48))
