"""How much room the platform's volumes have: as numbers, log lines, and for platform operators on their page.

PostgreSQL tells its data folder to superusers only. So whoever installs names the folders (``ISPVM_WATCHED_VOLUMES``),
and the beat asks the file system, which needs no right to read what is in them. A volume on another host is watched by
a beat there, or by that host's own monitoring.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from apps.events.processes import running_processes

log = structlog.get_logger(__name__)

#: The name of this fact of a process (see ``processes.publish``).
FACT = "volumes"
#: Nearly full: less than a tenth and less than 20 GiB. A tenth of a very large volume is room for months.
LOW_RATIO = 0.1
LOW_BYTES = 20 * 2**30


@dataclass(frozen=True)
class Volume:
    """The volume that a folder lies on; bytes that this account may still write."""

    name: str
    free: int
    total: int

    @property
    def ratio(self) -> float:
        return self.free / self.total if self.total else 0.0

    @property
    def is_low(self) -> bool:
        return self.ratio < LOW_RATIO and self.free < LOW_BYTES


@dataclass(frozen=True)
class LowVolume:
    """A volume that is nearly full, and the host it belongs to."""

    name: str
    host: str
    percent: int


def read_volume(name: str, folder: Path) -> Volume | None:
    """None where the folder cannot be reached."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return Volume(name, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


class Volumes(Collector):
    """The folders that this process watches."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._low: set[str] = set()
        self._lock = threading.Lock()

    def read(self) -> list[Volume]:
        """All that can be reached now; a change to nearly full, or back, is logged once."""
        found = [v for name, folder in self._folders.items() if (v := read_volume(name, folder))]
        with self._lock:
            for volume in found:
                if volume.is_low == (volume.name in self._low):
                    continue
                if volume.is_low:
                    self._low.add(volume.name)
                    log.error("volume_nearly_full", volume=volume.name, free_bytes=volume.free)
                else:
                    self._low.discard(volume.name)
                    log.info("volume_has_room", volume=volume.name, free_bytes=volume.free)
        return found

    def fact(self) -> list[dict[str, object]]:
        """What the process publishes."""
        return [asdict(volume) for volume in self.read()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        free = GaugeMetricFamily(
            "ispvm_volume_free_bytes", "Room on a watched volume.", labels=("volume",)
        )
        total = GaugeMetricFamily(
            "ispvm_volume_bytes", "Size of a watched volume.", labels=("volume",)
        )
        for volume in self.read():
            free.add_metric((volume.name,), volume.free)
            total.add_metric((volume.name,), volume.total)
        yield free
        yield total


def low_volumes() -> list[LowVolume]:
    """Volumes that running processes have found nearly full, each once. Two queries."""
    found = {
        LowVolume(volume.name, process.host, int(100 * volume.ratio))
        for process in running_processes()
        for volume in (Volume(**fact) for fact in process.facts.get(FACT, ()))
        if volume.is_low
    }
    return sorted(found, key=lambda low: (low.host, low.name))
