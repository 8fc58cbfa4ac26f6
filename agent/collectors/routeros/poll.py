"""One poll of one router: the tiers that are due, within a bounded time."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from agent.collectors.routeros import configuration, hardware, menus
from agent.collectors.routeros.session import Login, RouterSession
from agent.normalize.readings import Cost, InterfaceReading, OspfReading, Reading
from agent.protocol.registry import Tier
from agent.samples import now


class RouterPoller:
    """Keeps one session per router open between polls."""

    def __init__(self, login: Login, history_fingerprint: str | None = None) -> None:
        self.session = RouterSession(login)
        self._major_version: int | None = None
        self._areas: Sequence[menus.OspfArea] = ()
        #: Fingerprint of the router's history when its configuration was last read; kept across sessions.
        self.history_fingerprint = history_fingerprint

    def poll(self, tiers: Collection[Tier], command_timeout: float) -> Reading:
        """Read these tiers; one command may take ``command_timeout`` seconds, all together twice that.

        Raises ConnectionFailed, LoginRefused, CertificateChanged.

        The first poll of a session reads all tiers: the router may have been replaced.
        """
        started_at, at = time.monotonic(), now()
        is_daily = Tier.DAILY in tiers or self.history_fingerprint is None
        if not self.session.is_open:
            tiers, self._major_version = frozenset(Tier), None
        session = self.session
        session.begin(command_timeout)
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
        before = self.history_fingerprint
        self.history_fingerprint = configuration.read_history(self.session) or ""
        if not force and before == self.history_fingerprint:
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

    def close(self) -> None:
        self.session.close()


def ethernet_names(interfaces: Iterable[InterfaceReading]) -> list[str]:
    """The ports that `monitor` accepts. A name with a comma would count as two ports."""
    return [row.name for row in interfaces if row.type == "ether" and "," not in row.name]
