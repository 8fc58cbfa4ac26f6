"""The beat survives a restart of PostgreSQL: it loses its lock with the connection and acquires it again."""

import threading

import pytest
from celery import current_app
from django.conf import settings

from apps.events.beat import LockedBeat
from apps.tenancy.locks import InstallationLock
from tests import database
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def beat():
    """A beat in a thread, with a list that grows each time it acquires the lock."""
    locked_beat, acquired = LockedBeat(current_app), []
    thread = threading.Thread(
        target=locked_beat.run, args=[lambda: acquired.append(1)], daemon=True
    )
    thread.start()
    yield locked_beat, acquired, thread
    locked_beat.stop()
    thread.join(30)
    assert not thread.is_alive()


def end_sessions_with_the_lock() -> int:
    """As a restart of PostgreSQL does."""
    with database.as_owner(settings.DATABASES["default"]["NAME"], alias="default") as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND (classid::bigint << 32) + objid::bigint = %s AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [InstallationLock.BEAT],
        )
        return len(cursor.fetchall())


def test_it_ticks_again_after_its_session_was_terminated(beat):
    _, acquired, thread = beat
    eventually(lambda: acquired == [1])

    assert end_sessions_with_the_lock() == 1

    eventually(lambda: acquired == [1, 1], seconds=60)
    assert thread.is_alive()


def test_a_second_one_takes_over_and_the_first_waits(beat):
    _, acquired, _ = beat
    eventually(lambda: acquired == [1])
    second, acquired_by_second = LockedBeat(current_app), []
    thread = threading.Thread(
        target=second.run, args=[lambda: acquired_by_second.append(1)], daemon=True
    )
    thread.start()

    end_sessions_with_the_lock()

    eventually(lambda: len(acquired) + len(acquired_by_second) == 2, seconds=60)
    second.stop()
    thread.join(30)
    assert not thread.is_alive()
