"""Misfortune that is no death of a process of ours: a PostgreSQL backend killed, Valkey killed or emptied.

Both only on embedded servers: on a given one they would hit whoever else uses it.
"""

import contextlib
import os
import random
import signal
from collections.abc import Callable, Mapping

import psycopg2
import redis

# What was hit, and its process id (0: none). None: nothing to hit just now.
Blow = Callable[[random.Random], tuple[str, int] | None]

BACKEND, VALKEY, FLUSH = "postgres-backend", "valkey", "valkey-flush"
_BACKENDS = """
SELECT pid, application_name FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY pid
"""


def blows(environment: Mapping[str, str]) -> dict[str, Blow]:
    """The blows on the embedded servers of these addresses."""
    return {
        BACKEND: lambda rng: kill_backend(environment["DATABASE_URL"], rng),
        VALKEY: lambda _: kill_valkey(environment["REDIS_URL"]),
        FLUSH: lambda _: flush(environment["REDIS_URL"]),
    }


def kill_backend(url: str, rng: random.Random) -> tuple[str, int] | None:
    """kill -9 one connection's server process: PostgreSQL ends all others and recovers from its log."""
    try:
        with (
            contextlib.closing(psycopg2.connect(url, connect_timeout=2)) as line,
            line.cursor() as cursor,
        ):
            cursor.execute(_BACKENDS)
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
    """kill -9 the server: it comes back with what its log had, a second ago at most."""
    with contextlib.closing(redis.Redis.from_url(url, socket_timeout=2)) as client:
        try:
            pid = int(client.info("server")["process_id"])
            os.kill(pid, signal.SIGKILL)
        except (redis.RedisError, ProcessLookupError):  # still starting after the last one
            return None
    return VALKEY, pid


def flush(url: str) -> tuple[str, int] | None:
    """FLUSHALL: every queue, every bell, every cached value and rate is gone."""
    with contextlib.closing(redis.Redis.from_url(url, socket_timeout=2)) as client:
        try:
            client.flushall()
        except redis.RedisError:
            return None
    return FLUSH, 0
