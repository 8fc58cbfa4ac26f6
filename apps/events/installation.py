"""The epoch of the database: after a restore it continues from an earlier state, so its counters repeat.

Receivers of webhooks order by (epoch, sequence). The epoch is 0 until the first restore and then the Unix time at
which the restore was detected: a counter would repeat as well when an older dump is restored.
"""

from django.db import connection, connections

#: A dump restored elsewhere has another system identifier or database oid; a point-in-time recovery another timeline.
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
    """The epoch for events emitted now. One query.

    Until a restore is recorded, each event gets the current time as its epoch, which grows as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT)
        row = cursor.fetchone()
    return row[0] if row else 0


def record_restore(*, using: str, is_certain: bool = False) -> int | None:
    """Begin a new epoch if the fingerprint has changed; returns the epoch, or None.

    Needs the owner's role. ``is_certain``: begin one anyway, for restores that leave no trace.
    """
    condition = "" if is_certain else f" WHERE fingerprint <> {FINGERPRINT}"
    with connections[using].cursor() as cursor:
        cursor.execute(f"{_RECORD}{condition} RETURNING epoch")
        row = cursor.fetchone()
    return row[0] if row else None
