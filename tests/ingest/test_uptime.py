"""Uptime of ingest, as its processes record it in the database."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from apps.agents.services import ensure_authority
from apps.core import clock
from apps.ingest import uptime as uptime_module
from apps.ingest.models import Uptime
from apps.ingest.uptime import INGEST_DOWN_AFTER, IngestUptime, ingest_uptime, record_uptime
from tests.ingest.listener import listening, write_files
from tests.slots import free_port
from tests.supervisor.waiting import eventually


def recorded(since_seconds: float, until_seconds: float) -> None:
    """An uptime that is recorded already: began and last confirmed this many seconds ago."""
    now = clock.now()
    since, until = now - timedelta(seconds=since_seconds), now - timedelta(seconds=until_seconds)
    Uptime.objects.create(id=1, since=since, until=until)


def uptime_seconds() -> float:
    at = clock.now()
    return (at - ingest_uptime(at).since).total_seconds()


@pytest.mark.django_db
class TestIngestUptime:
    @pytest.fixture(autouse=True)
    def _in_minutes(self, monkeypatch):
        """In minutes instead of seconds: the database's clock runs on while a busy machine waits."""
        monkeypatch.setattr(uptime_module, "INGEST_DOWN_AFTER", 60 * INGEST_DOWN_AFTER)

    def test_without_a_record_it_covers_everything(self):
        at = clock.now()

        assert ingest_uptime(at) == IngestUptime(is_up=True, since=None)
        assert ingest_uptime(at).covers(at - timedelta(days=1))

    @pytest.mark.parametrize(
        ("until_seconds", "is_up"), [(0, True), (240, True), (420, False), (36_000, False)]
    )
    def test_is_up_while_records_are_recent(self, until_seconds, is_up):
        recorded(54_000, until_seconds)

        assert ingest_uptime(clock.now()).is_up == is_up

    def test_continues_without_a_gap(self):
        recorded(3600, 180)

        record_uptime()

        assert uptime_seconds() > 3590
        assert ingest_uptime(clock.now()).is_up

    def test_restarts_after_a_gap(self):
        recorded(3600, 420)

        record_uptime()

        uptime = ingest_uptime(clock.now())
        assert uptime.is_up
        assert uptime_seconds() < 300
        assert not uptime.covers(clock.now() - timedelta(seconds=360))

    def test_does_not_depend_on_the_clock_of_the_caller(self):
        recorded(3600, 0)
        slow = clock.now() - timedelta(minutes=5)

        uptime = ingest_uptime(slow)

        assert uptime.is_up
        assert uptime.covers(slow - timedelta(seconds=3500))
        assert not uptime.covers(slow - timedelta(seconds=4500))


@pytest.mark.django_db(transaction=True)
def test_concurrent_first_records_create_one_row():
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait(timeout=300)
        record_uptime()
        connection.close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)

    assert Uptime.objects.count() == 1


@pytest.mark.real
@pytest.mark.django_db(transaction=True)
def test_the_process_records_its_uptime_until_it_ends(tmp_path):
    ensure_authority(at=clock.now())
    with listening(write_files(tmp_path), free_port()):
        eventually(Uptime.objects.exists)
        eventually(lambda: ingest_uptime(clock.now()).is_up)

    eventually(lambda: not ingest_uptime(clock.now()).is_up)
