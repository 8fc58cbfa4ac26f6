"""The beat outlives PostgreSQL: it loses its lock with the connection and gets it back in the same process."""

import threading

import pytest
from celery import current_app
from django.conf import settings

from apps.events.beat import LOCK, LockedBeat
from tests import database
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def beat():
    """A beat in a thread, and how often it got the lock."""
    processes_created, got = LockedBeat(current_app), []
    thread = threading.Thread(
        target=processes_created.run, args=[lambda: got.append(1)], daemon=True
    )
    thread.start()
    yield processes_created, got, thread
    processes_created.stop()
    thread.join(30)
    assert not thread.is_alive()


def end_sessions_with_the_lock() -> int:
    """What a restart of PostgreSQL does to whoever holds it."""
    with database.as_owner(settings.DATABASES["default"]["NAME"], alias="default") as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND (classid::bigint << 32) + objid::bigint = %s AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LOCK],
        )
        return len(cursor.fetchall())


def test_it_ticks_again_after_the_database_ended_its_session(beat):
    _, got, thread = beat
    eventually(lambda: got == [1])

    assert end_sessions_with_the_lock() == 1

    eventually(lambda: got == [1, 1], seconds=60)
    assert thread.is_alive()


def test_a_second_one_takes_over_and_the_first_waits(beat):
    _, got, _ = beat
    eventually(lambda: got == [1])
    second, got_by_second = LockedBeat(current_app), []
    thread = threading.Thread(
        target=second.run, args=[lambda: got_by_second.append(1)], daemon=True
    )
    thread.start()

    end_sessions_with_the_lock()

    eventually(lambda: len(got) + len(got_by_second) == 2, seconds=60)
    second.stop()
    thread.join(30)
    assert not thread.is_alive()
