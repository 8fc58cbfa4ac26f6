"""Gauges of the outbox, the due table, the queues, the broker and the database connections."""

from datetime import datetime
from functools import cache
from operator import add
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Count, Min

from apps.events.due import kinds
from apps.events.gauges import Gauge, GaugeValues
from apps.events.models import Due, OutboxDelivery
from apps.events.queues import Queue

log = structlog.get_logger(__name__)

#: Written to check whether the broker accepts writes.
PROBE = "ispvm:broker-probe"
OUTBOX = (
    Gauge("ispvm_outbox_undelivered", "Outbox deliveries that are not done.", combine=add),
    Gauge("ispvm_outbox_undelivered_age_seconds", "Age of the oldest undelivered outbox event."),
)
INSTALLATION = (
    Gauge("ispvm_due_overdue_seconds", "How overdue the oldest row of the due table is."),
    Gauge("ispvm_queue_depth", "Tasks waiting in a queue.", labels=("queue",)),
    Gauge("ispvm_queue_unacknowledged", "Tasks that workers have received and not finished."),
    Gauge("ispvm_broker_up", "1 while the broker accepts writes."),
    Gauge("ispvm_broker_readable", "1 while the broker accepts reads."),
    Gauge("ispvm_database_connections", "Connections to this database."),
    Gauge("ispvm_database_connections_max", "The server's max_connections."),
)


def read_outbox(at: datetime) -> GaugeValues:
    """Values of the current tenant."""
    undelivered = OutboxDelivery.objects.filter(done_at__isnull=True).aggregate(
        number=Count("id"), oldest=Min("event__created_at")
    )
    return {
        ("ispvm_outbox_undelivered",): undelivered["number"],
        ("ispvm_outbox_undelivered_age_seconds",): age(undelivered["oldest"], at),
    }


def read_installation(at: datetime) -> GaugeValues:
    """Values of the installation."""
    oldest = Due.objects.filter(kind__in=kinds()).aggregate(first=Min("next_due_at"))["first"]
    return {
        ("ispvm_due_overdue_seconds",): age(oldest, at),
        **_connections(),
        **_queues(),
    }


def age(since: datetime | None, at: datetime) -> float:
    """Seconds since then; 0 for None and times in the future."""
    return max(0.0, (at - since).total_seconds()) if since else 0.0


def _connections() -> GaugeValues:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), current_setting('max_connections')::int"
            " FROM pg_stat_activity WHERE datname = current_database()"
        )
        number, maximum = cursor.fetchone()
    return {
        ("ispvm_database_connections",): number,
        ("ispvm_database_connections_max",): maximum,
    }


def _queues() -> GaugeValues:
    names = [str(queue) for queue in Queue]
    try:
        with _broker().pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
            pipe.hlen("unacked")
            *depths, unacknowledged = pipe.execute()
    except (redis.RedisError, OSError):
        return {("ispvm_broker_up",): 0.0, ("ispvm_broker_readable",): 0.0}
    return {
        ("ispvm_broker_up",): _is_writable(),
        ("ispvm_broker_readable",): 1.0,
        ("ispvm_queue_unacknowledged",): unacknowledged,
        **{("ispvm_queue_depth", name): depth for name, depth in zip(names, depths, strict=True)},
    }


def _is_writable() -> float:
    """1 if a write succeeds: out of memory or disk space, the broker answers reads and refuses writes."""
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
