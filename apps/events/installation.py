"""Which life of the database this is: after a restore it goes on from an earlier state, and its counters repeat.

Receivers of webhooks order by (epoch, sequence). The epoch is 0 until the first restore, and then the Unix time at
which a restore was noticed: a count would repeat too when an older dump is restored later.
"""

from django.db import connection, connections

#: A dump that is restored elsewhere has another system identifier or database, a recovery in time another timeline.
FINGERPRINT = (
    "(SELECT system_identifier::text FROM pg_control_system())"
    " || ':' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
    " || ':' || (SELECT oid::text FROM pg_database WHERE datname = current_database())"
)
_LATER = "greatest(epoch + 1, extract(epoch FROM statement_timestamp())::bigint)"
_CURRENT = (
    f"SELECT CASE WHEN fingerprint = {FINGERPRINT} THEN epoch ELSE {_LATER} END"  # noqa: S608  (constants)
    " FROM events_installation WHERE id = 1"
)
_RECORD = f"UPDATE events_installation SET epoch = {_LATER}, fingerprint = {FINGERPRINT}"  # noqa: S608  (constants)


def current_epoch() -> int:
    """The epoch of what is emitted now. One query.

    A restore acts at once, before anybody has recorded it: until then each event has its own moment as its epoch, which
    grows too.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT)
        row = cursor.fetchone()
    return row[0] if row else 0


def record_restore(*, using: str, is_certain: bool = False) -> int | None:
    """Begin a new epoch if the database is not where it was; returns it, None if nothing has changed.

    Needs the owner. ``is_certain``: an operator says that a restore was made, which may leave no trace.
    """
    where = "" if is_certain else f" WHERE fingerprint <> {FINGERPRINT}"
    with connections[using].cursor() as cursor:
        cursor.execute(f"{_RECORD}{where} RETURNING epoch")
        row = cursor.fetchone()
    return row[0] if row else None
