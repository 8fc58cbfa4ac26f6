"""Processes say that they run; who has said nothing lately is dead, unless nobody could hear."""

import os
from datetime import timedelta

import pytest
from django.db.models import F

from apps.core import clock
from apps.events import processes
from apps.events.models import RunningProcess
from tests.supervisor.waiting import eventually


@pytest.fixture
def announcement(transactional_db):
    announcement = processes.ProcessHeartbeat("web", started_at=clock.now())
    yield announcement
    announcement.end()


def age(seconds: float) -> None:
    RunningProcess.objects.update(seen_at=F("seen_at") - timedelta(seconds=seconds))


def running_pids(*, offline_after: timedelta) -> list[int]:
    return [row.pid for row in processes.running_processes(offline_after=offline_after)]


def test_a_process_is_there_from_its_start_to_its_end(announcement):
    announcement.start()
    eventually(RunningProcess.objects.exists)

    row = RunningProcess.objects.get()
    assert (row.kind, row.pid) == ("web", os.getpid())
    assert "master_keys" in row.facts
    announcement.end()
    assert not RunningProcess.objects.exists()


@pytest.mark.django_db
class TestSilence:
    # Shorter than the server has been up, so that it has had the time to hear.
    OFFLINE_SECONDS = timedelta(milliseconds=1)

    @pytest.fixture(autouse=True)
    def _saved(self):
        processes.ProcessHeartbeat("web", started_at=clock.now()).save()

    def test_one_that_spoke_just_now_runs(self):
        assert running_pids(offline_after=timedelta(days=1)) == [os.getpid()]

    def test_one_that_was_killed_is_believed_for_a_while_only(self):
        age(5)

        assert running_pids(offline_after=self.OFFLINE_SECONDS) == []

    def test_a_database_that_has_just_come_back_has_heard_nobody(self):
        """Had it forgotten them, a rotation would pass them over."""
        age(3600)

        assert running_pids(offline_after=timedelta(days=9999)) == [os.getpid()]
        age(2 * 86400)
        assert running_pids(offline_after=timedelta(days=9999)) == []
