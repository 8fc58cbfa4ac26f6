"""What events itself can tell of the state: the outbox, what is due, the queues, the database's connections."""

from datetime import datetime
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Count, Min

from apps.events.due import kinds
from apps.events.models import Due, OutboxDelivery
from apps.events.queues import Queue
from apps.events.state import Gauge, Reading, added

log = structlog.get_logger(__name__)

#: The key that is written to learn whether the broker takes writes.
PROBE = "ispvm:broker-probe"
OUTBOX = (
    Gauge("ispvm_outbox_undelivered", "Outbox events that a subscriber owes.", combine=added),
    Gauge("ispvm_outbox_undelivered_age_seconds", "Age of the oldest of them."),
)
INSTALLATION = (
    Gauge("ispvm_due_overdue_seconds", "How late the most overdue work is rung."),
    Gauge("ispvm_queue_depth", "Tasks that wait in a queue.", labels=("queue",)),
    Gauge("ispvm_queue_unacknowledged", "Tasks that a worker has taken and not finished."),
    Gauge("ispvm_broker_up", "1 while the broker takes what is written to it."),
    Gauge("ispvm_broker_readable", "1 while the broker answers at all."),
    Gauge("ispvm_database_connections", "Connections to this database."),
    Gauge("ispvm_database_connections_max", "Connections that the database server allows."),
)


def read_outbox(at: datetime) -> Reading:
    """The current tenant's open outbox."""
    owed = OutboxDelivery.objects.filter(done_at__isnull=True).aggregate(
        number=Count("id"), oldest=Min("event__created_at")
    )
    return {
        ("ispvm_outbox_undelivered",): owed["number"],
        ("ispvm_outbox_undelivered_age_seconds",): age(owed["oldest"], at),
    }


def read_installation(at: datetime) -> Reading:
    """What belongs to no tenant."""
    late = Due.objects.filter(kind__in=kinds()).aggregate(first=Min("next_due_at"))["first"]
    return {
        ("ispvm_due_overdue_seconds",): age(late, at),
        **_connections(),
        **_queues(),
    }


def age(since: datetime | None, at: datetime) -> float:
    """Seconds that have passed; 0 when there is nothing or it lies ahead."""
    return max(0.0, (at - since).total_seconds()) if since else 0.0


def _connections() -> Reading:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), current_setting('max_connections')::int"
            " FROM pg_stat_activity WHERE datname = current_database()"
        )
        number, most = cursor.fetchone()
    return {
        ("ispvm_database_connections",): number,
        ("ispvm_database_connections_max",): most,
    }


def _queues() -> Reading:
    names = [str(queue) for queue in Queue]
    try:
        with _broker().pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
            pipe.hlen("unacked")
            *depths, taken = pipe.execute()
    except (redis.RedisError, OSError):
        return {("ispvm_broker_up",): 0.0, ("ispvm_broker_readable",): 0.0}
    return {
        ("ispvm_broker_up",): _is_writable(),
        ("ispvm_broker_readable",): 1.0,
        ("ispvm_queue_unacknowledged",): taken,
        **{("ispvm_queue_depth", name): depth for name, depth in zip(names, depths, strict=True)},
    }


def _is_writable() -> float:
    """1 when it took a value: without memory or room on its disk it answers and refuses every write."""
    try:
        _broker().set(PROBE, "1", ex=60)
    except (redis.RedisError, OSError) as error:
        log.warning("broker_refuses_writes", error=" ".join(str(error).split()))
        return 0.0
    return 1.0


@cache
def _broker() -> "redis.Redis[Any]":
    return redis.Redis.from_url(
        settings.ISPVM_REDIS_URL, socket_timeout=1, socket_connect_timeout=1
    )
