"""Utilization of links."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from apps.telemetry.sparklines import current_rates
from apps.topology.selectors import MapLink

RX, TX = "interface.rx_bytes_total", "interface.tx_bytes_total"
#: Utilization from which a link is busy, and saturated.
BUSY_PCT, FULL_PCT = 80, 95
#: No port is faster (twice 800GBASE): a higher rate comes from a counter that was replaced. The capacity of a link is
#: no limit: it may be what was bought of a faster port.
MAX_BPS = 1.6e12
#: An older rate says nothing about the current utilization.
MAX_RATE_AGE = timedelta(minutes=3)


def link_utilization(at: datetime, links: Iterable[MapLink]) -> dict[UUID, int]:
    """Utilization of each link in per cent: of the busier direction, by the end that reports more. Links without recent
    samples or without a capacity are absent. One query."""
    known = [link for link in links if link.capacity_bps and link.ports]
    ports = [port for link in known for port in link.ports]
    rates = current_rates(metrics=(RX, TX), entity_ids=ports, since=at - MAX_RATE_AGE)
    result = {}
    for link in known:
        used = [
            rates[port, metric] * 8
            for port in link.ports
            for metric in (RX, TX)
            if (port, metric) in rates
        ]
        plausible = [bps for bps in used if bps <= MAX_BPS]
        if plausible:
            result[link.id] = round(max(plausible) / (link.capacity_bps or 1) * 100)
    return result
