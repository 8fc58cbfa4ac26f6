"""Whether agents could be heard, as ingest's processes say it and as the database keeps it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from apps.agents.services import ensure_authority
from apps.core import clock
from apps.ingest import listening as listening_module
from apps.ingest.listening import DEAF_AFTER, Ears, ears, note_listening
from apps.ingest.models import Listening
from tests.ingest.listener import listening, write_files
from tests.slots import free_port
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
    @pytest.fixture(autouse=True)
    def _in_minutes(self, monkeypatch):
        """The database's clock goes on while a busy machine waits."""
        monkeypatch.setattr(listening_module, "DEAF_AFTER", 60 * DEAF_AFTER)

    def test_before_anybody_spoke_nothing_is_known_against_them(self):
        at = clock.now()

        assert ears(at) == Ears(are_open=True, since=None)
        assert ears(at).heard_all_since(at - timedelta(days=1))

    @pytest.mark.parametrize(
        ("quiet", "are_open"), [(0, True), (240, True), (420, False), (36_000, False)]
    )
    def test_are_open_while_it_is_said(self, quiet, are_open):
        noted(54_000, quiet)

        assert ears(clock.now()).are_open == are_open

    def test_go_on_without_a_gap(self):
        noted(3600, 180)

        note_listening()

        assert lasts() > 3590
        assert ears(clock.now()).are_open

    def test_begin_anew_after_one(self):
        noted(3600, 420)

        note_listening()

        heard = ears(clock.now())
        assert heard.are_open
        assert lasts() < 300
        assert not heard.heard_all_since(clock.now() - timedelta(seconds=360))

    def test_do_not_depend_on_the_clock_of_who_asks(self):
        noted(3600, 0)
        slow = clock.now() - timedelta(minutes=5)

        heard = ears(slow)

        assert heard.are_open
        assert heard.heard_all_since(slow - timedelta(seconds=3500))
        assert not heard.heard_all_since(slow - timedelta(seconds=4500))


@pytest.mark.django_db(transaction=True)
def test_two_that_begin_at_once_make_one_row():
    gate = threading.Barrier(8)

    def begin() -> None:
        gate.wait(timeout=300)
        note_listening()
        connection.close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)

    assert Listening.objects.count() == 1


@pytest.mark.real
@pytest.mark.django_db(transaction=True)
def test_the_process_says_so_until_it_ends(tmp_path):
    ensure_authority(at=clock.now())
    with listening(write_files(tmp_path), free_port()):
        eventually(Listening.objects.exists)
        eventually(lambda: ears(clock.now()).are_open)

    eventually(lambda: not ears(clock.now()).are_open)
