"""One poll of one router: the tiers that are due, within a bounded time."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from agent.collectors.base import Endpoint
from agent.collectors.logins import DecryptedLogin
from agent.collectors.routeros import configuration, hardware, menus
from agent.collectors.routeros.session import RouterSession
from agent.normalize.readings import Cost, DeviceReading, InterfaceReading, OspfReading, Reading
from agent.protocol.registry import Tier
from agent.samples import now


class RouterPoller:
    """Keeps one session per router open between polls."""

    def __init__(
        self, endpoint: Endpoint, login: DecryptedLogin, memory: str | None = None
    ) -> None:
        self.session = RouterSession(endpoint, login)
        self._major_version: int | None = None
        self._areas: Sequence[menus.OspfArea] = ()
        #: Fingerprint of the router's history when its configuration was last read; kept across sessions.
        self.memory = memory

    @property
    def certificate(self) -> str:
        """SHA-256 of the router's TLS certificate at the login; empty without TLS."""
        return self.session.certificate

    def connect(self, timeout: float) -> None:
        """Log in. Raises ConnectionFailed, LoginRefused, CertificateChanged."""
        self.session.begin(timeout)

    def identify(self) -> DeviceReading:
        """The router itself. Raises ConnectionFailed."""
        return menus.read_device(self.session, with_facts=True)

    def poll(self, tiers: Collection[Tier], timeout: float) -> Reading:
        """Read these tiers; one command may take ``timeout`` seconds, all together twice that.

        Raises ConnectionFailed, LoginRefused, CertificateChanged.

        The first poll of a session reads all tiers: the router may have been replaced.
        """
        started_at, at = time.monotonic(), now()
        is_daily = Tier.DAILY in tiers or self.memory is None
        if not self.session.is_open:
            tiers, self._major_version = frozenset(Tier), None
        session = self.session
        session.begin(timeout)
        device = services = None
        if Tier.MEDIUM in tiers:
            device = menus.read_device(session, with_facts=Tier.SLOW in tiers)
            self._major_version = menus.major_version_of(device.version) or self._major_version
        interfaces = menus.read_interfaces(session, with_counters=Tier.MEDIUM in tiers)
        ospf = self._read_ospf(is_slow=Tier.SLOW in tiers)
        bgp = menus.read_bgp(session, self._major_version)
        ports: Mapping[str, Mapping[str, float]] = {}
        if Tier.MEDIUM in tiers:
            services = menus.read_services(session)
        if device is not None:
            # The state of the power supplies reveals an outage before the battery is empty.
            device = replace(device, values={**device.values, **hardware.read_health(session)})
        if Tier.SLOW in tiers and device is not None:
            skew = hardware.read_clock_skew(session, datetime.now(UTC))
            device = replace(device, values={**device.values, **skew})
            ports = hardware.read_ports(session, ethernet_names(interfaces or ()))
        fingerprints = self._read_configuration(force=is_daily) if Tier.SLOW in tiers else None
        load = session.load
        cost = Cost((time.monotonic() - started_at) * 1000, load.commands, load.rows, load.logins)
        return Reading(at, cost, device, interfaces, ospf, bgp, ports, services, fingerprints)

    def _read_configuration(self, *, force: bool) -> Mapping[str, str] | None:
        """Daily, and when the router's history shows a change; not with every new session."""
        before = self.memory
        self.memory = configuration.read_history(self.session) or ""
        if not force and before == self.memory:
            return None
        return configuration.read_configuration(self.session, self._major_version)

    def _read_ospf(self, *, is_slow: bool) -> list[OspfReading] | None:
        """v6 has the areas in another menu; they are read with the slow tier, and reused if that fails."""
        neighbors = menus.read_ospf(self.session)
        if neighbors is None or self._major_version != menus.V6:
            return neighbors
        if is_slow:
            self._areas = menus.read_ospf_areas(self.session) or self._areas
        return menus.with_areas(neighbors, self._areas)

    def abort(self) -> None:
        self.session.abort()

    def close(self) -> None:
        self.session.close()


open_session = RouterPoller


def ethernet_names(interfaces: Iterable[InterfaceReading]) -> list[str]:
    """The ports that `monitor` accepts. A name with a comma would count as two ports."""
    return [row.name for row in interfaces if row.type == "ether" and "," not in row.name]
