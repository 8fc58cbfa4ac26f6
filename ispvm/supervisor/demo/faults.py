"""Faults of embedded servers: a killed PostgreSQL backend, Valkey killed or flushed.

Only embedded servers: others may use a configured one.
"""

import contextlib
import os
import random
import signal
from collections.abc import Callable, Mapping

import psycopg2
import redis

# Name and process id (0: none) of what was hit; None if there was no target.
Fault = Callable[[random.Random], tuple[str, int] | None]

BACKEND, VALKEY, FLUSH = "postgres-backend", "valkey", "valkey-flush"
_BACKENDS_SQL = """
SELECT pid, application_name FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY pid
"""


def embedded_faults(environment: Mapping[str, str]) -> dict[str, Fault]:
    """The faults for the embedded servers at these addresses."""
    return {
        BACKEND: lambda rng: kill_backend(environment["DATABASE_URL"], rng),
        VALKEY: lambda _: kill_valkey(environment["REDIS_URL"]),
        FLUSH: lambda _: flush(environment["REDIS_URL"]),
    }


def kill_backend(url: str, rng: random.Random) -> tuple[str, int] | None:
    """kill -9 one connection's server process: PostgreSQL terminates all others and recovers from its log."""
    try:
        with (
            contextlib.closing(psycopg2.connect(url, connect_timeout=2)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(_BACKENDS_SQL)
            rows = cursor.fetchall()
    except psycopg2.OperationalError:  # still recovering from the last one
        return None
    if not rows:
        return None
    pid, _ = rng.choice(rows)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return BACKEND, pid


def kill_valkey(url: str) -> tuple[str, int] | None:
    """kill -9 the server: after its restart it has the data of its log, at most a second old."""
    with contextlib.closing(redis.Redis.from_url(url, socket_timeout=2)) as client:
        try:
            pid = int(client.info("server")["process_id"])
            os.kill(pid, signal.SIGKILL)
        except (redis.RedisError, ProcessLookupError):  # still starting after the last one
            return None
    return VALKEY, pid


def flush(url: str) -> tuple[str, int] | None:
    """FLUSHALL: queues, wake-up signals, cached values and rate limits are lost."""
    with contextlib.closing(redis.Redis.from_url(url, socket_timeout=2)) as client:
        try:
            client.flushall()
        except redis.RedisError:
            return None
    return FLUSH, 0
