"""How full wires are."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from apps.telemetry.sparklines import current_rates
from apps.topology.selectors import MapLink

RX, TX = "interface.rx_bytes_total", "interface.tx_bytes_total"
#: From here on a wire is busy, and full.
BUSY_PCT, FULL_PCT = 80, 95
#: Readings are not taken at the same moment each time: so much above the capacity is still possible.
CREDIBLE_PCT = 125
#: A rate that is older says nothing of now.
FRESH = timedelta(minutes=3)


def link_utilization(at: datetime, wires: Iterable[MapLink]) -> dict[UUID, int]:
    """Per cent of its capacity that each wire carries, by its busier way and whichever end says more. Absent: nobody
    read it lately, or nobody said what it can carry. One query."""
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
