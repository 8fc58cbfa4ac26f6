"""Counting files whose blocks are reserved before they are mapped.

The client library maps sparse files. On a full volume the first write to a page without a block is SIGBUS, which ends
the process, whatever it was doing. Here the blocks are reserved first, and where there are none the numbers are kept in
memory: this process' part is missing in scrapes until it is started again, and it works on.
"""

import errno
import mmap
import os
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

INITIAL_BYTES = 1 << 16
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def reserve(descriptor: int, size: int) -> None:
    """Have the volume keep blocks for the file's first bytes. Raises OSError."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.EINVAL}:  # a file system that cannot: as before
            return
        raise


class ReservedDict(MmapedDict):
    """The library's file of numbers, which never writes to a block that is not there."""

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
                if error.errno not in NO_ROOM:
                    raise
                memory = os.memfd_create("metrics")
                filename = f"/proc/self/fd/{memory}"
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # the library's
        if memory is not None:
            os.close(memory)  # it has opened it itself

    def _init_value(self, key: str) -> None:
        # The library doubles the file when the next value does not fit; one is never longer than this.
        longest = len(key.encode()) + 64
        if self._used + longest > self._capacity:
            try:
                reserve(self._f.fileno(), 2 * self._capacity)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                self._move_to_memory()
        super()._init_value(key)  # type: ignore[no-untyped-call]  # the library's

    def _move_to_memory(self) -> None:
        """Go on in memory with what has been counted so far; the file stays as it is."""
        memory = os.fdopen(os.memfd_create("metrics"), "a+b")
        memory.write(self._m[: self._capacity])
        memory.flush()
        self._m.close()
        self._f.close()
        self._f = memory
        self._m = mmap.mmap(memory.fileno(), self._capacity)


def install() -> None:
    """Have the client library count in such files. Before the first number is made; idempotent."""
    values.MmapedDict = ReservedDict  # type: ignore[attr-defined]  # looked up when it opens one
