"""The metric files of a process group, one set per process.

The files of a dead process are merged into files of the group and removed: counters never decrease, and
the folder does not grow with the number of replaced workers.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from apps.core.metrics.reserved import reserve

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MERGED = "merged"


def group_folder() -> Path | None:
    """The folder of this process group; None for a process without a group."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


def clear_folder(folder: Path) -> None:
    """Remove files of earlier runs. Files that this process has already opened stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        if path.stem.rpartition("_")[2] != str(os.getpid()):
            path.unlink(missing_ok=True)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """No files are merged while they are read."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def merge_dead(folder: Path) -> int:
    """Merge the files of dead processes; returns the number of removed files.

    The caller holds ``locked_folder``. After a crash in between, one file is counted twice; none is lost.
    """
    removed = 0
    for path in sorted(folder.glob("*.db")):
        kind, _, process = path.stem.rpartition("_")
        if process == MERGED or not process.isdigit() or _is_alive(int(process)):
            continue
        try:
            if not kind.startswith("gauge"):  # a dead process has no gauges
                _add(path, folder / f"{kind}_{MERGED}.db")
        except OSError:  # full volume: the file is still read, and merged later
            continue
        path.unlink(missing_ok=True)
        removed += 1
    return removed


def _add(source: Path, target: Path) -> None:
    with target.open("ab") as file:  # reserve first: a partial merge would count values twice
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
