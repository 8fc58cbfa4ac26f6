"""The files that the processes of one group count in, one set per process.

A process that died leaves its files. They are added to the group's past and removed: sums never fall, and
the folder stays as small as the group, however often its workers are replaced.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from apps.core.metrics.reserved import reserve

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PAST = "past"


def folder_of_group() -> Path | None:
    """This process group's folder; None where a process counts for itself alone."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


def begin_folder(folder: Path) -> None:
    """Empty it: a group that starts counts from zero. What this process has already opened stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        if path.stem.rpartition("_")[2] != str(os.getpid()):
            path.unlink(missing_ok=True)


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Nobody folds while the files are read."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fold_dead(folder: Path) -> int:
    """Add what dead processes counted to the group's past; answers how many files went.

    The caller holds ``folder_locked``. A crash in between counts one file twice; nothing is ever lost.
    """
    gone = 0
    for path in sorted(folder.glob("*.db")):
        kind, _, process = path.stem.rpartition("_")
        if process == PAST or not process.isdigit() or _is_alive(int(process)):
            continue
        try:
            if not kind.startswith("gauge"):  # a dead process is in no state
                _add(path, folder / f"{kind}_{PAST}.db")
        except OSError:  # a full volume: it is read where it is, and added when there is room
            continue
        path.unlink(missing_ok=True)
        gone += 1
    return gone


def _add(source: Path, target: Path) -> None:
    with target.open("ab") as file:  # what cannot be added must not be counted as added
        reserve(file.fileno(), 2 * max(source.stat().st_size, target.stat().st_size))
    total = MmapedDict(str(target))
    try:
        for key, value, stamp, _ in MmapedDict.read_all_values_from_file(str(source)):
            total.write_value(key, total.read_value(key)[0] + value, stamp)
    finally:
        total.close()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
