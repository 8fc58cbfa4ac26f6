"""One request on its way through the limits of its tenant."""

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
    "Requests that a limit of their tenant refused, by reason.",
    ["reason"],
)
#: Of a tenant's parallel requests, one in so many may be expensive.
EXPENSIVE_SHARE = 4
#: Of a tenant's cost per minute: so many minutes may be used at once.
BURST_MINUTES = 2

_shares: ThreadShares | None = None
_limits: SharedLimits | None = None
#: Two first requests at once must not count in two places.
_creating = threading.Lock()


class Admission:
    """Counts one request against its tenant until its answer is sent, and charges what it cost.

    Created when the request arrives, on the thread that answers it; ``enter`` when the tenant is known.
    """

    def __init__(self) -> None:
        self._lease = uuid4().hex
        self._tenant_id: UUID | None = None
        #: Why it was not admitted; None while it was.
        self.refusal: RateExceeded | None = None
        self._exits = ExitStack()
        self._database_seconds = 0.0
        self._processor_start = time.thread_time()
        self._exits.enter_context(connection.execute_wrapper(self._measure))

    def enter(self, tenant_id: UUID, *, is_expensive: bool = False) -> None:
        """Take a place for this request. Raises ParallelLimitExceeded, CostLimitExceeded."""
        if self._tenant_id is not None:
            return
        self._tenant_id = tenant_id
        # Charged in any case: refusing costs something too.
        self._exits.callback(self._release_shared)
        if not shares().acquire(tenant_id):
            raise self._refuse(Outcome.PARALLEL, 0)
        self._exits.callback(shares().release, tenant_id)
        self._acquire(settings.ISPVM_TENANT_PARALLEL_REQUESTS)
        if is_expensive:
            self.enter_expensive()

    def enter_expensive(self) -> None:
        """Take one of the few places for expensive requests too. Does nothing before ``enter``.

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
        """The answer is sent, or there is none. Idempotent."""
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
    """What the requests of one tenant may cost."""
    per_minute = settings.ISPVM_TENANT_COST_PER_MINUTE
    return Budget(per_minute / 60, per_minute * BURST_MINUTES)


def shares() -> ThreadShares:
    """Of this process."""
    global _shares
    with _creating:
        if _shares is None:
            _shares = ThreadShares(settings.ISPVM_WEB_THREADS)
        return _shares


def limits() -> SharedLimits:
    """This process' view of the limits that all share."""
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
            message=_("Your organization used its share of processor and database time.")
        )
    else:
        reason = "parallel_expensive" if is_expensive else "parallel"
        refusal = ParallelLimitExceeded(
            message=_("Too many requests of your organization are being answered at once.")
        )
    refusal.retry_after = max(1, int(wait) + 1)
    REFUSED.labels(reason).inc()
    return refusal
