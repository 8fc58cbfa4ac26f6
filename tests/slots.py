"""Resources of one pytest process on this machine: a database of Valkey and a range of ports.

A slot is a file lock that the process holds until it ends. Two xdist workers, or two runs in two clones, never share
one, so that none can empty the queues of another or bind a port that another has just found free.
"""

import fcntl
import os
import tempfile
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ispvm.supervisor.ports import LOOPBACK, is_free

#: Valkey's 64 databases without number 0, which servers that a developer runs use.
SLOTS = range(1, 64)
#: Below 32768, where the kernel takes the ports of outgoing connections from.
FIRST_PORT, PORTS_PER_SLOT = 10_000, 350

# Slot -> open lock file, until this process ends.
_held: dict[int, int] = {}
_next_port = count()


def own_slot() -> int:
    """The slot of this process, acquired at the first call."""
    if _held:
        return next(iter(_held))
    for slot in SLOTS:
        lock = os.open(slot_lock(slot), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _held[slot] = lock
        return slot
    raise RuntimeError("All slots for tests are taken; wait until another run has ended.")


def slot_lock(slot: int) -> Path:
    """The file that is locked while a process has this slot."""
    folder = Path(tempfile.gettempdir()) / f"ispvm-test-slots-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{slot}.lock"


def own_redis_url(url: str) -> str:
    """The same server, the database of this process' slot."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{own_slot()}"))


def free_port(host: str = LOOPBACK) -> int:
    """A free port in the range of this process."""
    return free_ports(1, host)


def free_ports(number: int, host: str = LOOPBACK) -> int:
    """The first of ``number`` consecutive free ports."""
    first = FIRST_PORT + (own_slot() - 1) * PORTS_PER_SLOT
    for _ in range(PORTS_PER_SLOT):
        start = next(_next_port) * number % PORTS_PER_SLOT
        row = range(first + start, first + start + number)
        if start + number <= PORTS_PER_SLOT and all(is_free(port, host) for port in row):
            return row[0]
    raise AssertionError(f"No {number} free ports in a row from {first}.")
