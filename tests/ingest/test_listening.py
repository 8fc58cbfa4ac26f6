"""Whether agents could be heard, as ingest's processes say it and as the database keeps it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from apps.agents.services import ensure_authority
from apps.core import clock
from apps.ingest.listening import Ears, ears, note_listening
from apps.ingest.models import Listening
from ispvm.supervisor.ports import free_port
from tests.ingest.listener import listening, write_files
from tests.supervisor.waiting import eventually


@pytest.fixture
def t0():
    return clock.now()


def note(t0, *seconds: float) -> None:
    for second in seconds:
        note_listening(t0 + timedelta(seconds=second))


@pytest.mark.django_db
class TestEars:
    def test_before_anybody_spoke_nothing_is_known_against_them(self, t0):
        assert ears(t0) == Ears(are_open=True, since=None)
        assert ears(t0).heard_all_since(t0 - timedelta(days=1))

    def test_are_open_while_it_is_said(self, t0):
        note(t0, 0, 2, 4, 6)

        assert ears(t0 + timedelta(seconds=7)) == Ears(are_open=True, since=t0)
        assert not ears(t0 + timedelta(seconds=13)).are_open

    def test_a_gap_begins_anew(self, t0):
        note(t0, 0, 2, 9, 11)

        heard = ears(t0 + timedelta(seconds=12))

        assert heard.since == t0 + timedelta(seconds=9)
        assert heard.heard_all_since(t0 + timedelta(seconds=9))
        assert not heard.heard_all_since(t0 + timedelta(seconds=8))

    def test_processes_whose_clocks_differ_a_little_make_no_gap(self, t0):
        note(t0, 0, 3, 2, 5, 4)

        assert ears(t0 + timedelta(seconds=6)) == Ears(are_open=True, since=t0)


@pytest.mark.django_db(transaction=True)
def test_two_that_begin_at_once_make_one_row(t0):
    gate = threading.Barrier(8)

    def begin() -> None:
        gate.wait(timeout=30)
        note_listening(t0)
        connection.close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert Listening.objects.count() == 1


@pytest.mark.real
@pytest.mark.django_db(transaction=True)
def test_the_process_says_so_until_it_ends(tmp_path):
    ensure_authority(at=clock.now())
    with listening(write_files(tmp_path), free_port()):
        eventually(Listening.objects.exists)
        assert ears(clock.now()).are_open

    eventually(lambda: not ears(clock.now()).are_open)
