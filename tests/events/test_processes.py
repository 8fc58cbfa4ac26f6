"""Heartbeats of processes: a process without a recent one is not running, unless the database was down."""

import os
from datetime import timedelta

import pytest
from django.db.models import F

from apps.core import clock
from apps.events import processes
from apps.events.models import RunningProcess
from tests.supervisor.waiting import eventually


@pytest.fixture
def heartbeat(transactional_db):
    heartbeat = processes.ProcessHeartbeat("web", started_at=clock.now())
    yield heartbeat
    heartbeat.end()


def age(seconds: float) -> None:
    RunningProcess.objects.update(seen_at=F("seen_at") - timedelta(seconds=seconds))


def running_pids(*, offline_after: timedelta) -> list[int]:
    return [row.pid for row in processes.running_processes(offline_after=offline_after)]


def test_a_process_is_listed_from_its_start_to_its_end(heartbeat):
    heartbeat.start()
    eventually(RunningProcess.objects.exists)

    row = RunningProcess.objects.get()
    assert (row.kind, row.pid) == ("web", os.getpid())
    assert "master_keys" in row.facts
    heartbeat.end()
    assert not RunningProcess.objects.exists()


@pytest.mark.django_db
class TestOfflineAfter:
    # Shorter than the uptime of the database server, so that heartbeats could be written.
    OFFLINE_AFTER = timedelta(milliseconds=1)

    @pytest.fixture(autouse=True)
    def _saved(self):
        processes.ProcessHeartbeat("web", started_at=clock.now()).save()

    def test_a_process_with_a_recent_heartbeat_is_running(self):
        assert running_pids(offline_after=timedelta(days=1)) == [os.getpid()]

    def test_a_killed_process_expires(self):
        age(5)

        assert running_pids(offline_after=self.OFFLINE_AFTER) == []

    def test_after_a_restart_of_the_database_old_heartbeats_count(self):
        """Otherwise a key rotation would not wait for these processes."""
        age(3600)

        assert running_pids(offline_after=timedelta(days=9999)) == [os.getpid()]
        age(2 * 86400)
        assert running_pids(offline_after=timedelta(days=9999)) == []
