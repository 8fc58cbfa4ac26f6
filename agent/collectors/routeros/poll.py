"""One poll of one router: the tiers that are due, within one bounded time."""

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
    """Keeps the session of one router from poll to poll."""

    def __init__(self, login: Login, history: str | None = None) -> None:
        self.session = RouterSession(login)
        self._generation: int | None = None
        self._areas: Sequence[menus.OspfArea] = ()
        #: What its history looked like when its configuration was last read; outlives the session.
        self.history = history

    def poll(self, tiers: Collection[Tier], patience: float) -> Reading:
        """Ask for these tiers; one command may take ``patience`` seconds, all together twice that.

        Raises Gone, LoginRefused, CertificateChanged.

        The first poll of a session asks for everything: the router may be another one than before.
        """
        began, at = time.monotonic(), now()
        is_due = Tier.DAILY in tiers or self.history is None
        if not self.session.is_open:
            tiers, self._generation = frozenset(Tier), None
        session = self.session
        session.begin(patience)
        device = services = None
        if Tier.MEDIUM in tiers:
            device = menus.read_device(session, with_facts=Tier.SLOW in tiers)
            self._generation = menus.generation_of(device.version) or self._generation
        interfaces = menus.read_interfaces(session, with_counters=Tier.MEDIUM in tiers)
        ospf = self._read_ospf(is_slow=Tier.SLOW in tiers)
        bgp = menus.read_bgp(session, self._generation)
        ports: Mapping[str, Mapping[str, float]] = {}
        if Tier.MEDIUM in tiers:
            services = menus.read_services(session)
        if device is not None:
            # A supply that has lost its input tells of the outage before the battery is empty.
            device = replace(device, values={**device.values, **hardware.read_health(session)})
        if Tier.SLOW in tiers and device is not None:
            skew = hardware.read_clock_skew(session, datetime.now(UTC))
            device = replace(device, values={**device.values, **skew})
            ports = hardware.read_ports(session, ethernet_names(interfaces or ()))
        found = self._read_configuration(is_due=is_due) if Tier.SLOW in tiers else None
        load = session.load
        cost = Cost((time.monotonic() - began) * 1000, load.commands, load.rows, load.logins)
        return Reading(at, cost, device, interfaces, ospf, bgp, ports, services, found)

    def _read_configuration(self, *, is_due: bool) -> Mapping[str, str] | None:
        """Daily, and as soon as the router's history tells of work on it; not with every new session."""
        before = self.history
        self.history = configuration.read_history(self.session) or ""
        if not is_due and before == self.history:
            return None
        return configuration.read_configuration(self.session, self._generation)

    def _read_ospf(self, *, is_slow: bool) -> list[OspfReading] | None:
        """v6 keeps the areas elsewhere; they are read again with the slow tier, and kept if that fails."""
        found = menus.read_ospf(self.session)
        if found is None or self._generation != menus.V6:
            return found
        if is_slow:
            self._areas = menus.read_ospf_areas(self.session) or self._areas
        return menus.in_areas(found, self._areas)

    def close(self) -> None:
        self.session.close()


def ethernet_names(interfaces: Iterable[InterfaceReading]) -> list[str]:
    """The ports that can be monitored. A comma in a name would make it two."""
    return [one.name for one in interfaces if one.type == "ether" and "," not in one.name]
