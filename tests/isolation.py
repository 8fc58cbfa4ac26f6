"""Resets state of this process and of Valkey between tests."""

from collections.abc import Callable

import redis
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.utils import translation

from apps.accounts import attempts
from apps.accounts.oidc import calls, metadata
from apps.agents.identity import clear_certificate_cache
from apps.core import buckets
from apps.core.admission import request
from apps.core.admission.request import SharedLimits
from apps.events import processes, retention, task_metrics
from apps.ingest import authorization, entities, limits
from apps.telemetry import series

#: In the database of Valkey that the tests empty, so that they never empty one which holds something else.
MARKER = "database-of-tests"


def _patient_buckets() -> None:
    """New buckets with a longer timeout: after half a second on a busy machine they would count per process."""
    buckets._buckets = buckets.Buckets(valkey())


def _patient_limits() -> None:
    request._limits = SharedLimits(valkey())


def _new_shares() -> None:
    request._shares = None


def _no_process_heartbeat() -> None:
    processes._heartbeat = None


#: Module-level state that depends on earlier calls, by module and name; see tests/test_isolation.py.
RESETS: dict[str, Callable[[], object]] = {
    "apps.accounts.attempts._local": attempts._local.clear,
    "apps.accounts.oidc.calls._local": calls._local.clear,
    "apps.accounts.oidc.metadata._cache": metadata._cache.clear,
    "apps.agents.identity._cache": clear_certificate_cache,
    "apps.core.buckets._buckets": _patient_buckets,
    "apps.core.admission.request._limits": _patient_limits,
    "apps.core.admission.request._shares": _new_shares,
    "apps.events.task_metrics._started": task_metrics._started.clear,
    "apps.events.task_metrics._work": task_metrics._work.clear,
    "apps.events.processes._heartbeat": _no_process_heartbeat,
    "apps.events.retention._smaller_batches": retention._smaller_batches.clear,
    "apps.ingest.entities._cached": entities._cached.clear,
    "apps.ingest.limits._in_flight": limits._in_flight.clear,
    "apps.ingest.authorization._cached": authorization._cached.clear,
    "apps.telemetry.series._cached": series._cached.clear,
}

_client: "redis.Redis | None" = None


def valkey() -> "redis.Redis":
    """This process' database of Valkey. Refuses one with keys that no test has written."""
    global _client
    if _client is None:
        _client = redis.Redis.from_url(settings.ISPVM_REDIS_URL)
        if _client.dbsize() and not _client.exists(MARKER):
            raise RuntimeError(f"Database {settings.ISPVM_REDIS_URL[-3:]} holds other data.")
    return _client


def reset_process() -> None:
    """Reset this process and empty its Valkey database."""
    with valkey().pipeline() as pipe:
        pipe.flushdb()
        pipe.set(MARKER, 1)
        pipe.execute()
    caches["local"].clear()
    for reset in RESETS.values():
        reset()
    translation.deactivate()


def warm_content_types() -> None:
    """The first use of a content type costs a query: which test pays for it would depend on the order."""
    ContentType.objects.clear_cache()
    for content_type in ContentType.objects.all():
        ContentType.objects._add_to_cache(ContentType.objects.db, content_type)
