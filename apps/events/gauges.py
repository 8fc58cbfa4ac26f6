"""Gauges of the whole installation: queue lengths, ages, numbers of offline agents.

Apps register functions that read them. Tenants are read one by one, because row-level security shows one at a time;
only sums and maxima are published, without a tenant label.
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

#: Reading takes at most this share of the time, however many tenants there are.
MAX_READ_SHARE = 0.05
MIN_INTERVAL_SECONDS = 5.0

#: Name and values of the labels.
Key = tuple[str, ...]
GaugeValues = Mapping[Key, float]


@dataclass(frozen=True)
class Gauge:
    """One gauge; ``combine`` reduces the values of all tenants to one (``operator.add`` or ``max``)."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    combine: Callable[[float, float], float] = max


_gauges: dict[str, Gauge] = {}
_tenant_readers: list[Callable[[datetime], GaugeValues]] = []
_installation_readers: list[Callable[[datetime], GaugeValues]] = []


def register_tenant_gauges(
    gauges: Sequence[Gauge], read: Callable[[datetime], GaugeValues]
) -> None:
    """Register gauges whose ``read`` is called once inside each tenant."""
    _gauges.update({gauge.name: gauge for gauge in gauges})
    _tenant_readers.append(read)


def register_installation_gauges(
    gauges: Sequence[Gauge], read: Callable[[datetime], GaugeValues]
) -> None:
    """Register gauges whose ``read`` is called once, outside of any tenant."""
    _gauges.update({gauge.name: gauge for gauge in gauges})
    _installation_readers.append(read)


def read_gauges(at: datetime) -> dict[Key, float]:
    """The values of all gauges. Raises DatabaseError."""
    values: dict[Key, float] = {
        (gauge.name,): 0.0 for gauge in _gauges.values() if not gauge.labels
    }
    for read in _installation_readers:
        values.update(read(at))
    for tenant_id in Tenant.objects.values_list("id", flat=True):
        with acting_in(tenant_id):
            for read in _tenant_readers:
                for key, value in read(at).items():
                    combine = _gauges[key[0]].combine
                    values[key] = combine(values[key], value) if key in values else value
    return values


class GaugeCollector(Collector):
    """Reads the gauges when Prometheus scrapes; a slow read makes the next one later (``SHARE``)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[Key, float] = {}
        self._read_again_at = 0.0
        self._seconds = 0.0
        self._readable = False

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            if time.monotonic() >= self._read_again_at:
                self._read()
            values, seconds, readable = dict(self._values), self._seconds, self._readable
        yield GaugeMetricFamily(
            "ispvm_state_readable",
            "1 while the gauges can be read from the database.",
            float(readable),
        )
        yield GaugeMetricFamily("ispvm_state_read_seconds", "How long the last read took.", seconds)
        for name, gauge in _gauges.items():
            family = GaugeMetricFamily(name, gauge.text, labels=gauge.labels)
            for key, value in values.items():
                if key[0] == name:
                    family.add_metric(key[1:], value)
            yield family

    def _read(self) -> None:
        started_at = time.monotonic()
        try:
            self._values = read_gauges(clock.now())
            self._readable = True
        except DatabaseError:
            # Old values would look current.
            self._values, self._readable = {}, False
            log.warning("state_unreadable")
        finally:
            connection.close()  # each scrape has a thread of its own
        self._seconds = time.monotonic() - started_at
        self._read_again_at = time.monotonic() + max(
            MIN_INTERVAL_SECONDS, self._seconds / MAX_READ_SHARE
        )
