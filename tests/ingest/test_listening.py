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


def noted(lasted: float, quiet: float) -> None:
    """It has been said before, by the database's clock."""
    now = clock.now()
    since, until = now - timedelta(seconds=lasted), now - timedelta(seconds=quiet)
    Listening.objects.create(id=1, since=since, until=until)


def lasts() -> float:
    """For how many seconds somebody has listened."""
    at = clock.now()
    return (at - ears(at).since).total_seconds()


@pytest.mark.django_db
class TestEars:
    def test_before_anybody_spoke_nothing_is_known_against_them(self):
        at = clock.now()

        assert ears(at) == Ears(are_open=True, since=None)
        assert ears(at).heard_all_since(at - timedelta(days=1))

    @pytest.mark.parametrize(
        ("quiet", "are_open"), [(0, True), (4, True), (7, False), (600, False)]
    )
    def test_are_open_while_it_is_said(self, quiet, are_open):
        noted(900, quiet)

        assert ears(clock.now()).are_open == are_open

    def test_go_on_without_a_gap(self):
        noted(60, 3)

        note_listening()

        assert 59 < lasts() < 70
        assert ears(clock.now()).are_open

    def test_begin_anew_after_one(self):
        noted(60, 7)

        note_listening()

        heard = ears(clock.now())
        assert heard.are_open
        assert lasts() < 5
        assert not heard.heard_all_since(clock.now() - timedelta(seconds=6))

    def test_do_not_depend_on_the_clock_of_who_asks(self):
        noted(60, 0)
        slow = clock.now() - timedelta(minutes=5)

        heard = ears(slow)

        assert heard.are_open
        assert heard.heard_all_since(slow - timedelta(seconds=59))
        assert not heard.heard_all_since(slow - timedelta(seconds=90))


@pytest.mark.django_db(transaction=True)
def test_two_that_begin_at_once_make_one_row():
    gate = threading.Barrier(8)

    def begin() -> None:
        gate.wait(timeout=30)
        note_listening()
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
