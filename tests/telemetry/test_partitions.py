import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections

from apps.core import clock
from apps.telemetry import partitions
from apps.tenancy import acting_in
from tests import database
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.django_db(databases=["default", "owner"], transaction=True)


@pytest.fixture
def cursor():
    with connections["owner"].cursor() as opened:
        partitions.limit_waiting(opened)
        yield opened
        opened.execute("RESET lock_timeout")


@contextmanager
def dump_in_another_session():
    """The locks that pg_dump holds until it ends."""
    with database.as_owner(settings.DATABASES["default"]["NAME"]) as dump:
        dump.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        dump.execute("SELECT 1 FROM pg_class")
        dump.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'telemetry_sample'::regclass"
        )
        names = ", ".join(["telemetry_sample", *(name for (name,) in dump.fetchall())])
        dump.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        yield dump
        dump.execute("COMMIT")


def store_sample(tenant, ts: datetime) -> None:
    """As ingest does, but with a short lock timeout."""
    with acting_in(tenant), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '20ms'")
        cursor.execute(
            "INSERT INTO telemetry_sample (tenant_id, series_id, ts, value) VALUES (%s, 1, %s, 1)"
            " ON CONFLICT (tenant_id, series_id, ts) DO UPDATE SET value = excluded.value",
            [tenant.id, ts],
        )


def test_ensure_is_idempotent(cursor):
    today = clock.now().date()

    partitions.ensure(cursor, today)

    assert partitions.ensure(cursor, today) == ([], [])


def test_creates_the_partition_of_a_new_day_and_drops_an_expired_one(cursor):
    today = date(2031, 5, 20)
    expired = partitions.name_of(today - timedelta(days=partitions.RETENTION_DAYS + 1))
    partitions.ensure(cursor, today - timedelta(days=partitions.RETENTION_DAYS + 1))

    created, _ = partitions.ensure(cursor, today)
    dropped, _ = partitions.drop_expired(cursor, today)

    assert partitions.name_of(today + timedelta(days=partitions.DAYS_AHEAD)) in created
    assert expired in dropped
    partitions.drop_expired(cursor, date(2099, 1, 1))
    partitions.ensure(cursor, clock.now().date())


def test_partitions_exist_for_a_week_ahead():
    assert partitions.DAYS_AHEAD >= 7


class TestDuringADump:
    """A dump holds ACCESS SHARE on every table: no statement may wait behind the keeper."""

    TODAY = date(2031, 5, 20)

    @pytest.fixture(autouse=True)
    def _clean(self, cursor):
        partitions.ensure(cursor, self.TODAY)
        yield
        partitions.drop_expired(cursor, date(2099, 1, 1))
        partitions.ensure(cursor, clock.now().date())

    def test_the_next_days_get_their_partitions(self, cursor, acme):
        tomorrow = self.TODAY + timedelta(days=partitions.DAYS_AHEAD + 1)
        with dump_in_another_session():
            created, blocked = partitions.ensure(cursor, self.TODAY + timedelta(days=1))
            store_sample(acme, datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC))

        assert (created, blocked) == ([partitions.name_of(tomorrow)], [])

    def test_ingest_continues_during_drops_and_blocked_partitions_are_dropped_after_the_dump(
        self, cursor, acme
    ):
        much_later = self.TODAY + timedelta(days=100)
        partitions.ensure(cursor, much_later)
        now = datetime(much_later.year, much_later.month, much_later.day, tzinfo=UTC)
        ended = threading.Event()
        tries: list[tuple[list[str], list[str]]] = []

        def keep() -> None:
            with connections["owner"].cursor() as mine:
                partitions.limit_waiting(mine)
                while not ended.is_set():
                    tries.append(partitions.drop_expired(mine, much_later))
            connections["owner"].close()

        with dump_in_another_session():
            keeper = threading.Thread(target=keep)
            keeper.start()
            try:
                for second in range(200):
                    store_sample(acme, now + timedelta(seconds=second))
                eventually(lambda: tries)
                for second in range(200):
                    store_sample(acme, now + timedelta(seconds=second))
            finally:
                ended.set()
                keeper.join()

        assert all(dropped == [] for dropped, _ in tries)
        assert all(partitions.name_of(self.TODAY) in blocked for _, blocked in tries)
        dropped, blocked = partitions.drop_expired(cursor, much_later)
        assert partitions.name_of(self.TODAY) in dropped
        assert blocked == []

    @pytest.mark.skipif(shutil.which("pg_dump") is None, reason="no pg_dump on this machine")
    def test_a_stuck_dump_blocks_no_other_session(self, cursor, acme, tmp_path):
        """pg_dump writes into a pipe that is not read, so that it never finishes."""
        row = settings.DATABASES["owner"]
        pipe = tmp_path / "dump"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        dump = subprocess.Popen(
            ["pg_dump", "--schema-only", "--no-sync", f"--file={pipe}", str(row["NAME"])],
            env={
                **os.environ,
                "PGHOST": str(row["HOST"]),
                "PGPORT": str(row["PORT"]),
                "PGUSER": str(row["USER"]),
                "PGPASSWORD": str(row["PASSWORD"]),
            },
            stderr=subprocess.PIPE,
        )
        try:
            eventually(lambda: dump.poll() is not None or holds_lock(cursor, "pg_dump"))
            if dump.poll() is not None:
                message = dump.stderr.read().decode() if dump.stderr else ""
                pytest.skip(f"pg_dump does not fit this server: {message}")
            created, blocked = partitions.ensure(cursor, self.TODAY + timedelta(days=1))
            tomorrow = self.TODAY + timedelta(days=partitions.DAYS_AHEAD + 1)
            store_sample(acme, datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC))
            assert holds_lock(cursor, "pg_dump"), "the dump ended too early to show anything"
        finally:
            os.close(reader)
            dump.kill()
            dump.communicate()

        assert (created, blocked) == ([partitions.name_of(tomorrow)], [])


def holds_lock(cursor, program: str) -> bool:
    cursor.execute(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE a.application_name = %s AND l.relation = 'telemetry_sample'::regclass AND l.granted",
        [program],
    )
    return bool(cursor.fetchone()[0])


def test_a_half_detached_partition_is_dropped(cursor):
    day = date(2031, 5, 20)
    partitions.drop_expired(cursor, date(2099, 1, 1))
    partitions.ensure(cursor, day)
    name = partitions.name_of(day)
    with dump_in_another_session(), pytest.raises(Exception, match="lock timeout"):
        cursor.execute(f"ALTER TABLE telemetry_sample DETACH PARTITION {name} CONCURRENTLY")
    later = date(2031, 9, 1)

    dropped, blocked = partitions.drop_expired(cursor, later)

    assert name in dropped
    assert blocked == []
    partitions.drop_expired(cursor, date(2099, 1, 1))
    partitions.ensure(cursor, clock.now().date())


def test_the_keeper_runs_one_round_with_once(capsys):
    call_command("keeper", "--once")

    assert "partitions created" in capsys.readouterr().out
