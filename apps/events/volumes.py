"""Free space of the platform's volumes: metrics, log lines, and a notice for platform operators.

PostgreSQL shows its data directory to superusers only. So the operator names the folders (``ISPVM_WATCHED_VOLUMES``),
and the beat queries the file system, which needs no permission to read their content. A volume on another host is
watched by a beat there, or by that host's own monitoring.
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

#: The name of this fact of a process (see ``processes.publish_fact``).
FACT = "volumes"
#: Nearly full: less than 10 percent and less than 20 GiB. Of a large volume, 10 percent last for months.
LOW_RATIO = 0.1
LOW_BYTES = 20 * 2**30


@dataclass(frozen=True)
class Volume:
    """The volume of a folder; ``free`` counts bytes that this account may write."""

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
    """A nearly full volume and its host."""

    name: str
    host: str
    percent: int


def read_volume(name: str, folder: Path) -> Volume | None:
    """The volume of the folder; None if the folder is not accessible."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return Volume(name, status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)


class Volumes(Collector):
    """The folders that this process watches."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._low: set[str] = set()
        self._lock = threading.Lock()

    def read(self) -> list[Volume]:
        """All accessible volumes; a change to nearly full, or back, is logged once."""
        volumes = [v for name, folder in self._folders.items() if (v := read_volume(name, folder))]
        with self._lock:
            for volume in volumes:
                if volume.is_low == (volume.name in self._low):
                    continue
                if volume.is_low:
                    self._low.add(volume.name)
                    log.error("volume_nearly_full", volume=volume.name, free_bytes=volume.free)
                else:
                    self._low.discard(volume.name)
                    log.info("volume_recovered", volume=volume.name, free_bytes=volume.free)
        return volumes

    def fact(self) -> list[dict[str, object]]:
        """The fact for ``processes.publish_fact``."""
        return [asdict(volume) for volume in self.read()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        free = GaugeMetricFamily(
            "ispvm_volume_free_bytes", "Free space of a watched volume.", labels=("volume",)
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
    """Nearly full volumes reported by running processes, without duplicates. Two queries."""
    volumes = {
        LowVolume(volume.name, process.host, int(100 * volume.ratio))
        for process in running_processes()
        for volume in (Volume(**fact) for fact in process.facts.get(FACT, ()))
        if volume.is_low
    }
    return sorted(volumes, key=lambda low: (low.host, low.name))
