"""Samples of one poll. Pure. A value that was not read gives no sample, never a 0."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from agent.normalize.entities import (
    bgp_entity_id,
    has_entity,
    interface_entity_id,
    ospf_entity_id,
    service_entity_id,
)
from agent.normalize.readings import BgpReading, InterfaceReading, OspfReading, Reading
from agent.protocol.config import Expected
from agent.protocol.ids import interface_id
from agent.protocol.registry import METRICS, Kind
from agent.samples import Sample

DOWN = "down"

Value = float | str | bool | None
MetricValue = tuple[str, str, Value]


def samples_of(device_id: UUID, reading: Reading, expected: Expected, source: str) -> list[Sample]:
    """All samples of a successful poll, with expected neighbors and peers that are no longer listed as down.

    ``source`` is the collector's.
    """
    values: list[MetricValue] = [
        *_device(str(device_id), reading),
        *_interfaces(device_id, reading.interfaces or ()),
        *_ports(device_id, reading),
        *_ospf(device_id, reading.ospf or ()),
        *_bgp(device_id, reading.bgp or ()),
        *_services(device_id, reading),
        *_missing(device_id, reading, expected),
    ]
    return [
        Sample(reading.at, metric, entity_id, value, source)
        for metric, entity_id, raw in values
        if (value := _in_bounds(metric, raw)) is not None
    ]


def failed_sample(device_id: str, at: float, source: str) -> Sample:
    """The sample of a failed poll: the API did not answer. Everything else is unknown."""
    return Sample(at, "device.api.up", device_id, 0.0, source)


def login_samples(
    device_id: str, at: float, source: str, *, is_held: bool | None, is_certificate_ok: bool | None
) -> list[Sample]:
    """State of the login; None leaves a metric out that an older server does not know."""
    values = (("device.login.held", is_held), ("device.certificate.ok", is_certificate_ok))
    return [
        Sample(at, metric, device_id, float(value), source)
        for metric, value in values
        if value is not None
    ]


def _in_bounds(metric: str, value: Value) -> float | str | None:
    """A value outside the bounds of the registry was misread; it is left out."""
    registered = METRICS[metric]
    if value is None or isinstance(value, str):
        return value
    exact = float(value)
    if registered.kind is not Kind.TEXT and registered.minimum <= exact <= registered.maximum:
        return exact
    return None


def _device(device_id: str, reading: Reading) -> Iterator[MetricValue]:
    yield "device.api.up", device_id, True
    yield "device.poll.ms", device_id, reading.cost.milliseconds
    yield "device.poll.commands", device_id, reading.cost.commands
    yield "device.poll.rows", device_id, reading.cost.rows
    yield "device.poll.logins", device_id, reading.cost.logins
    if reading.device is not None:
        for metric, value in reading.device.values.items():
            yield metric, device_id, value
    if reading.configuration:
        # The server stores a text metric when it changes: this is the history of the router's configuration.
        parts = (
            f"{category}:{fingerprint}"
            for category, fingerprint in sorted(reading.configuration.items())
        )
        yield "device.config.fingerprint", device_id, " ".join(parts)


def _interfaces(device_id: UUID, rows: Iterable[InterfaceReading]) -> Iterator[MetricValue]:
    for row in rows:
        entity_id = interface_entity_id(device_id, row)
        yield "interface.oper_up", entity_id, row.is_running
        if row.is_disabled is not None:
            yield "interface.admin_up", entity_id, not row.is_disabled
        for metric, value in row.counters.items():
            yield metric, entity_id, value


def _ports(device_id: UUID, reading: Reading) -> Iterator[MetricValue]:
    for name, values in reading.ports.items():
        entity_id = str(interface_id(device_id, name))
        for metric, value in values.items():
            yield metric, entity_id, value


def _ospf(device_id: UUID, rows: Iterable[OspfReading]) -> Iterator[MetricValue]:
    for row in rows:
        entity_id = ospf_entity_id(device_id, row)
        yield "ospf.neighbor.up", entity_id, row.is_up
        yield "ospf.neighbor.state", entity_id, row.state
        yield "ospf.neighbor.uptime_seconds", entity_id, row.uptime_seconds
        yield "ospf.neighbor.state_changes_total", entity_id, row.state_changes


def _bgp(device_id: UUID, rows: Iterable[BgpReading]) -> Iterator[MetricValue]:
    for row in filter(has_entity, rows):
        entity_id = bgp_entity_id(device_id, row)
        yield "bgp.peer.up", entity_id, row.is_up
        yield "bgp.peer.state", entity_id, row.state
        yield "bgp.peer.uptime_seconds", entity_id, row.uptime_seconds
        yield "bgp.peer.prefixes_in", entity_id, row.prefixes_in


def _services(device_id: UUID, reading: Reading) -> Iterator[MetricValue]:
    for row in reading.services or ():
        yield "pppoe.sessions.active", service_entity_id(device_id, row), row.active


def _missing(device_id: UUID, reading: Reading, expected: Expected) -> Iterator[MetricValue]:
    """Expected entities that a list no longer holds are down, provided that the list was read."""
    if reading.ospf is not None:
        listed = {ospf_entity_id(device_id, row) for row in reading.ospf}
        for missing_id in (
            row["id"] for row in expected["ospf_neighbors"] if row["id"] not in listed
        ):
            yield "ospf.neighbor.up", missing_id, False
            yield "ospf.neighbor.state", missing_id, DOWN
    if reading.bgp is not None:
        listed = {bgp_entity_id(device_id, row) for row in reading.bgp}
        for missing_id in (row["id"] for row in expected["bgp_peers"] if row["id"] not in listed):
            yield "bgp.peer.up", missing_id, False
            yield "bgp.peer.state", missing_id, DOWN
