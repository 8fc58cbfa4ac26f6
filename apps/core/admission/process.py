"""The threads of this process, shared between tenants."""

import threading
from collections import Counter
from uuid import UUID


class ThreadShares:
    """The number of threads of this process that each tenant uses.

    A tenant gets another thread while it uses fewer than are free. One active tenant gets at most half of the threads,
    two get a third each, and a tenant without a thread is never refused.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._used: Counter[UUID] = Counter()
        self._expensive: Counter[UUID] = Counter()
        self._lock = threading.Lock()

    def acquire(self, tenant_id: UUID) -> bool:
        """Count a thread for the tenant. False if the tenant uses as many as are free."""
        with self._lock:
            used, free = self._used[tenant_id], self._threads - self._used.total()
            if used and used >= free:
                return False
            self._used[tenant_id] += 1
            return True

    def release(self, tenant_id: UUID) -> None:
        with self._lock:
            _subtract(self._used, tenant_id)

    def acquire_expensive(self, tenant_id: UUID, limit: int) -> bool:
        """Count an expensive request. False if ``limit`` are in progress."""
        with self._lock:
            if self._expensive[tenant_id] >= limit:
                return False
            self._expensive[tenant_id] += 1
            return True

    def release_expensive(self, tenant_id: UUID) -> None:
        with self._lock:
            _subtract(self._expensive, tenant_id)


def _subtract(counts: Counter[UUID], tenant_id: UUID) -> None:
    counts[tenant_id] -= 1
    if counts[tenant_id] <= 0:
        del counts[tenant_id]
