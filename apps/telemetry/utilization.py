"""Utilization of links."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from apps.telemetry.sparklines import current_rates
from apps.topology.selectors import MapLink

RX, TX = "interface.rx_bytes_total", "interface.tx_bytes_total"
#: Utilization from which a link is busy, and saturated.
BUSY_PCT, FULL_PCT = 80, 95
#: Poll times jitter, so rates up to this much above the capacity are plausible; higher ones are ignored.
CREDIBLE_PCT = 125
#: An older rate says nothing about the current utilization.
FRESH = timedelta(minutes=3)


def link_utilization(at: datetime, wires: Iterable[MapLink]) -> dict[UUID, int]:
    """Utilization of each link in per cent: of the busier direction, by the end that reports more. Links without recent
    samples or without a capacity are absent. One query."""
    known = [wire for wire in wires if wire.capacity_bps and wire.ports]
    ports = [port for wire in known for port in wire.ports]
    rates = current_rates(metrics=(RX, TX), entity_ids=ports, since=at - FRESH)
    found = {}
    for wire in known:
        used = [
            rates[port, metric] * 800 / (wire.capacity_bps or 1)
            for port in wire.ports
            for metric in (RX, TX)
            if (port, metric) in rates
        ]
        possible = [percent for percent in used if percent <= CREDIBLE_PCT]
        if possible:
            found[wire.id] = round(max(possible))
    return found
