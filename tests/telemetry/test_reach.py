"""How devices are, counted by the database site by site, says what reading each of them says."""

from collections import Counter
from datetime import timedelta

import pytest

from apps.core import clock
from apps.inventory.models import Device
from apps.telemetry import store
from apps.telemetry.reach import (
    BLIND_AFTER,
    Reach,
    devices_read,
    reach_by_site,
    reach_of_devices,
)
from apps.telemetry.store import Sample, SeriesKey
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def now(in_acme):
    """North has one up, one down, one blind, one that nobody read; south one up."""
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
    found = reach_by_site(Device.objects.all(), now)

    names = dict(Device.objects.values_list("site_id", "site__name"))
    assert {names[pk]: counted for pk, counted in found.items()} == {
        "north": Counter(up=1, down=1, blind=1, unknown=1),
        "south": Counter(up=1),
    }


def test_only_the_devices_asked_for_are_counted(now):
    assert sum(reach_by_site(Device.objects.filter(name="r0"), now).values(), Counter()) == {
        "up": 1
    }
    assert reach_by_site(Device.objects.none(), now) == {}


@pytest.mark.parametrize("word", Reach)
def test_a_state_names_its_devices(now, word):
    said = {pk for pk, found in reach_of_devices(now).items() if found is word}

    assert set(devices_read(now, word)) == said
    assert said


def test_who_was_never_read_is_in_no_state(now):
    assert Device.objects.exclude(pk__in=devices_read(now)).get().name == "r9"


def test_few_are_asked_for(now):
    one = Device.objects.get(name="r1")

    assert reach_of_devices(now, [one.id]) == {one.id: Reach.DOWN}
