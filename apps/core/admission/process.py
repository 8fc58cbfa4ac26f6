"""The threads of this process, shared between tenants."""

import threading
from collections import Counter
from uuid import UUID


class ThreadShares:
    """How many threads of this process answer each tenant now.

    A tenant may take one more while it has fewer than are free. Alone it gets half of the threads, two tenants get a
    third each, and a tenant that has none is never refused. Counts are exact: they end with the process.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._used: Counter[UUID] = Counter()
        self._expensive: Counter[UUID] = Counter()
        self._lock = threading.Lock()

    def acquire(self, tenant_id: UUID) -> bool:
        """Take a thread's share. False if the tenant has as many as are free."""
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
        """Mark a share as one of at most ``limit`` expensive ones."""
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
