"""Readings of a device, independent of the vendor. None: the device reported no value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DeviceReading:
    """The device itself."""

    identity: str | None = None
    version: str | None = None
    board_name: str | None = None
    serial: str | None = None
    model: str | None = None
    #: Registered metric of the device -> value.
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class InterfaceReading:
    """An interface. Counters are as reported by the device, since its boot."""

    name: str
    type: str = ""
    is_running: bool | None = None
    is_disabled: bool | None = None
    mac_address: str | None = None
    comment: str | None = None
    mtu: int | None = None
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OspfReading:
    """An OSPF adjacency. ``state`` is the vendor's name of it."""

    router_id: str
    area: str
    address: str
    state: str
    is_up: bool
    interface: str | None = None
    instance: str | None = None
    uptime_seconds: float | None = None
    state_changes: int | None = None


@dataclass(frozen=True)
class BgpReading:
    """A BGP session, configured or running."""

    name: str
    remote_address: str
    remote_as: int | None
    state: str
    is_up: bool
    local_as: int | None = None
    is_disabled: bool | None = None
    uptime_seconds: float | None = None
    prefixes_in: int | None = None


@dataclass(frozen=True)
class ServiceReading:
    """A PPPoE service with its number of sessions."""

    name: str
    active: int | None = None


@dataclass(frozen=True)
class Cost:
    """Load of the poll on the device."""

    milliseconds: float
    commands: int
    rows: int
    logins: int


@dataclass(frozen=True)
class Reading:
    """The result of one poll of one device. A part that is None was not read, or could not be."""

    at: float
    cost: Cost
    device: DeviceReading | None = None
    interfaces: Sequence[InterfaceReading] | None = None
    ospf: Sequence[OspfReading] | None = None
    bgp: Sequence[BgpReading] | None = None
    #: Interface name -> registered metric -> value: speed and optics.
    ports: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    services: Sequence[ServiceReading] | None = None
    #: Category of the configuration -> its fingerprint.
    configuration: Mapping[str, str] | None = None
