"""One request under the limits of its tenant."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from prometheus_client import Counter

from apps.core.admission.errors import CostLimitExceeded, ParallelLimitExceeded
from apps.core.admission.process import ThreadShares
from apps.core.admission.shared import Budget, Outcome, SharedLimits
from apps.core.buckets import RateExceeded, limits_client

REFUSED = Counter(
    "ispvm_tenant_requests_refused",
    "Requests refused by a limit of their tenant, by reason.",
    ["reason"],
)
#: One of this many concurrent requests of a tenant may be expensive.
EXPENSIVE_SHARE = 4
#: Burst: the cost budget of this many minutes may be used at once.
BURST_MINUTES = 2

_shares: ThreadShares | None = None
_limits: SharedLimits | None = None
#: Concurrent first requests must not create two instances.
_creating = threading.Lock()


class Admission:
    """Counts one request against its tenant until its response is sent, and charges its cost.

    Created when the request arrives, on the thread that handles it; ``enter`` when the tenant is known.
    """

    def __init__(self) -> None:
        self._lease = uuid4().hex
        self._tenant_id: UUID | None = None
        #: Why the request was refused; None if it was not.
        self.refusal: RateExceeded | None = None
        self._exits = ExitStack()
        self._database_seconds = 0.0
        self._processor_start = time.thread_time()
        self._exits.enter_context(connection.execute_wrapper(self._measure))

    def enter(self, tenant_id: UUID, *, is_expensive: bool = False) -> None:
        """Count this request. Raises ParallelLimitExceeded, CostLimitExceeded."""
        if self._tenant_id is not None:
            return
        self._tenant_id = tenant_id
        # Charged in any case: a refusal has a cost too.
        self._exits.callback(self._release_shared)
        if not shares().acquire(tenant_id):
            raise self._refuse(Outcome.PARALLEL, 0)
        self._exits.callback(shares().release, tenant_id)
        self._acquire(settings.ISPVM_TENANT_PARALLEL_REQUESTS)
        if is_expensive:
            self.enter_expensive()

    def enter_expensive(self) -> None:
        """Count this request as expensive too. No effect before ``enter``.

        Raises ParallelLimitExceeded, CostLimitExceeded.
        """
        if self._tenant_id is None:
            return
        limit = max(1, settings.ISPVM_TENANT_PARALLEL_REQUESTS // EXPENSIVE_SHARE)
        if not shares().acquire_expensive(self._tenant_id, limit):
            raise self._refuse(Outcome.PARALLEL, 0, is_expensive=True)
        self._exits.callback(shares().release_expensive, self._tenant_id)
        self._acquire(limit, is_expensive=True)

    def leave(self) -> None:
        """Call when the response has been sent or the request failed. Idempotent."""
        self._exits.close()

    def _acquire(self, limit: int, *, is_expensive: bool = False) -> None:
        assert self._tenant_id is not None  # for the type checker
        outcome, wait = limits().acquire(
            self._tenant_id, self._lease, limit=limit, budget=budget(), is_expensive=is_expensive
        )
        if outcome is not Outcome.ADMITTED:
            raise self._refuse(outcome, wait, is_expensive=is_expensive)

    def _refuse(self, outcome: Outcome, wait: float, *, is_expensive: bool = False) -> RateExceeded:
        self.refusal = _refusal(outcome, wait, is_expensive=is_expensive)
        return self.refusal

    def _release_shared(self) -> None:
        assert self._tenant_id is not None  # for the type checker
        cost = time.thread_time() - self._processor_start + self._database_seconds
        limits().release(self._tenant_id, self._lease, cost=max(0.0, cost), budget=budget())

    def _measure(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any
    ) -> Any:
        start = time.monotonic()
        try:
            return execute(sql, params, many, context)
        finally:
            self._database_seconds += time.monotonic() - start


def budget() -> Budget:
    """The cost budget of one tenant."""
    per_minute = settings.ISPVM_TENANT_COST_PER_MINUTE
    return Budget(per_minute / 60, per_minute * BURST_MINUTES)


def shares() -> ThreadShares:
    """The instance of this process."""
    global _shares
    with _creating:
        if _shares is None:
            _shares = ThreadShares(settings.ISPVM_WEB_THREADS)
        return _shares


def limits() -> SharedLimits:
    """The client of the limits shared by all processes."""
    global _limits
    with _creating:
        if _limits is None:
            _limits = SharedLimits(limits_client())
        return _limits


def _refusal(outcome: Outcome, wait: float, *, is_expensive: bool = False) -> RateExceeded:
    refusal: RateExceeded
    if outcome is Outcome.COST:
        reason = "cost"
        refusal = CostLimitExceeded(
            message=_("Your organization has used its share of CPU and database time.")
        )
    else:
        reason = "parallel_expensive" if is_expensive else "parallel"
        refusal = ParallelLimitExceeded(
            message=_("Your organization has too many requests in progress.")
        )
    refusal.retry_after = max(1, int(wait) + 1)
    REFUSED.labels(reason).inc()
    return refusal
