"""A tenant with the standard rules, a core router, and a simulation of its samples."""

from datetime import timedelta

import pytest

from apps.alerts import services
from apps.core import clock
from apps.tenancy import acting_in
from tests.alerts.simulation import ACTOR, Simulation
from tests.inventory.factories import make_device


@pytest.fixture
def t0():
    return clock.now() - timedelta(minutes=30)


@pytest.fixture
def rules(acme, t0):
    with acting_in(acme):
        return {r.key: r for r in services.install_pack(pack="first", actor=ACTOR, at=t0)}


@pytest.fixture
def core(acme):
    with acting_in(acme):
        return make_device("cr1", role="core")


@pytest.fixture
def simulation(acme, t0):
    return Simulation(acme, t0)
