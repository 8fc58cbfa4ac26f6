"""The state of the whole installation as numbers: what waits, for how long, who is silent.

Apps register what they can tell; tenants are visited one by one, because nobody sees across them, and only
sums and maxima leave: no tenant is named or numbered.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DatabaseError, connection
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

log = structlog.get_logger(__name__)

#: Asking costs at most this share of the time, however many tenants there are.
SHARE = 0.05
LEAST_SECONDS = 5.0

#: Name and values of the labels.
Key = tuple[str, ...]
Reading = Mapping[Key, float]


@dataclass(frozen=True)
class Gauge:
    """One number of the state; ``combine`` says how the tenants' become one (sum or max)."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    combine: Callable[[float, float], float] = max


def added(one: float, other: float) -> float:
    """The way to combine what is counted."""
    return one + other


_gauges: dict[str, Gauge] = {}
_of_tenant: list[Callable[[datetime], Reading]] = []
_of_all: list[Callable[[datetime], Reading]] = []


def measure_tenant(gauges: Sequence[Gauge], read: Callable[[datetime], Reading]) -> None:
    """Have ``read`` called inside each tenant."""
    _gauges.update({gauge.name: gauge for gauge in gauges})
    _of_tenant.append(read)


def measure_installation(gauges: Sequence[Gauge], read: Callable[[datetime], Reading]) -> None:
    """Have ``read`` called once, outside of all tenants."""
    _gauges.update({gauge.name: gauge for gauge in gauges})
    _of_all.append(read)


def read_state(at: datetime) -> dict[Key, float]:
    """All numbers now. Raises DatabaseError."""
    found: dict[Key, float] = {(gauge.name,): 0.0 for gauge in _gauges.values() if not gauge.labels}
    for read in _of_all:
        found.update(read(at))
    for tenant_id in Tenant.objects.values_list("id", flat=True):
        with acting_in(tenant_id):
            for read in _of_tenant:
                for key, value in read(at).items():
                    combine = _gauges[key[0]].combine
                    found[key] = combine(found[key], value) if key in found else value
    return found


class StateCollector(Collector):
    """Reads the state when it is scraped, not more often than it can be afforded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Key, float] = {}
        self._read_again_at = 0.0
        self._seconds = 0.0
        self._readable = False

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            if time.monotonic() >= self._read_again_at:
                self._read()
            found, seconds, readable = dict(self._found), self._seconds, self._readable
        yield GaugeMetricFamily(
            "ispvm_state_readable", "1 while the database told the state.", float(readable)
        )
        yield GaugeMetricFamily("ispvm_state_read_seconds", "How long it took.", seconds)
        for name, gauge in _gauges.items():
            family = GaugeMetricFamily(name, gauge.text, labels=gauge.labels)
            for key, value in found.items():
                if key[0] == name:
                    family.add_metric(key[1:], value)
            yield family

    def _read(self) -> None:
        began = time.monotonic()
        try:
            self._found = read_state(clock.now())
            self._readable = True
        except DatabaseError:
            # No number is better than an old one that looks new.
            self._found, self._readable = {}, False
            log.warning("state_unreadable")
        finally:
            connection.close()  # each scrape has a thread of its own
        self._seconds = time.monotonic() - began
        self._read_again_at = time.monotonic() + max(LEAST_SECONDS, self._seconds / SHARE)
