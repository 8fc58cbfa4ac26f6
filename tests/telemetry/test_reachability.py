"""Reachability of devices, one by one and counted by site."""

from collections import Counter
from datetime import timedelta

import pytest

from apps.core import clock
from apps.inventory.models import Device
from apps.telemetry import store
from apps.telemetry.reachability import (
    BLIND_AFTER,
    Reachability,
    devices_by_reachability,
    reachability_by_site,
    reachability_of_devices,
)
from apps.telemetry.store import Sample, SeriesKey
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def now(in_acme):
    """North has one up, one down, one blind, one that was never polled; south one up."""
    at = clock.now()
    north, south = make_site("north"), make_site("south")
    readings = [
        *((north, 1.0, at), (north, 0.0, at)),
        *((north, 1.0, at - BLIND_AFTER - timedelta(seconds=1)), (south, 1.0, at)),
    ]
    samples = []
    for n, (site, value, ts) in enumerate(readings):
        device = make_device(f"r{n}", site=site, management_address=f"127.20.0.{n + 1}")
        samples.append(Sample(SeriesKey("device", device.id, "device.up"), ts, value))
    make_device("r9", site=north, management_address="127.20.0.9")
    store.write_batch(samples=samples, received_at=at)
    return at


def test_each_site_is_counted(now):
    result = reachability_by_site(Device.objects.all(), now)

    names = dict(Device.objects.values_list("site_id", "site__name"))
    assert {names[pk]: counted for pk, counted in result.items()} == {
        "north": Counter(up=1, down=1, blind=1, unknown=1),
        "south": Counter(up=1),
    }


def test_only_the_given_devices_are_counted(now):
    assert sum(reachability_by_site(Device.objects.filter(name="r0"), now).values(), Counter()) == {
        "up": 1
    }
    assert reachability_by_site(Device.objects.none(), now) == {}


@pytest.mark.parametrize("state", Reachability)
def test_devices_of_each_state(now, state):
    expected = {pk for pk, result in reachability_of_devices(now).items() if result is state}

    assert set(devices_by_reachability(now, state)) == expected
    assert expected


def test_a_device_that_was_never_polled_has_no_state(now):
    assert Device.objects.exclude(pk__in=devices_by_reachability(now)).get().name == "r9"


def test_given_devices(now):
    one = Device.objects.get(name="r1")

    assert reachability_of_devices(now, [one.id]) == {one.id: Reachability.DOWN}
