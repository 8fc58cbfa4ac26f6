"""Metric files whose blocks are allocated before they are mapped.

The client library maps sparse files. On a full volume, the first write to an unallocated page raises SIGBUS, which ends
the process. Here blocks are allocated first; without free blocks the values are kept in memory: the process continues,
and its values are missing in scrapes until it is restarted.
"""

import errno
import mmap
import os
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

INITIAL_BYTES = 1 << 16
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def reserve(descriptor: int, size: int) -> None:
    """Allocate blocks for the first ``size`` bytes of the file. Raises OSError."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.EINVAL}:  # not supported by the file system
            return
        raise


class ReservedDict(MmapedDict):
    """The library's metric file, which never writes to an unallocated block."""

    _f: Any
    _m: Any
    _capacity: int
    _used: int

    def __init__(self, filename: str, read_mode: bool = False) -> None:  # noqa: FBT001, FBT002  (the library's)
        memory = None
        if not read_mode:
            try:
                descriptor = os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                try:
                    reserve(descriptor, max(INITIAL_BYTES, os.fstat(descriptor).st_size))
                finally:
                    os.close(descriptor)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                memory = os.memfd_create("metrics")
                filename = f"/proc/self/fd/{memory}"
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # the library's
        if memory is not None:
            os.close(memory)  # opened again by the base class

    def _init_value(self, key: str) -> None:
        # The library doubles the file when the next value does not fit; one is never longer than this.
        longest = len(key.encode()) + 64
        if self._used + longest > self._capacity:
            try:
                reserve(self._f.fileno(), 2 * self._capacity)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                self._move_to_memory()
        super()._init_value(key)  # type: ignore[no-untyped-call]  # the library's

    def _move_to_memory(self) -> None:
        """Continue in memory with the current values; the file is left unchanged."""
        memory = os.fdopen(os.memfd_create("metrics"), "a+b")
        memory.write(self._m[: self._capacity])
        memory.flush()
        self._m.close()
        self._f.close()
        self._f = memory
        self._m = mmap.mmap(memory.fileno(), self._capacity)


def install() -> None:
    """Make the client library use these files. Call before the first metric is created; idempotent."""
    values.MmapedDict = ReservedDict  # type: ignore[attr-defined]  # looked up when it opens one
