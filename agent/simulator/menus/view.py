"""Input of the menus: the network, the router, the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.simulator.blueprint import Blueprint, Link, Port, Router
from agent.simulator.changes import Change
from agent.simulator.network import Network
from agent.simulator.routeros import formats
from agent.simulator.routeros.version import RELEASES, Release

Row = dict[str, str]


class NoSuchItem(LookupError):
    """The router has no item with this name or number."""


@dataclass(frozen=True)
class View:
    """The network as one router sees it at one moment."""

    network: Network
    router: Router
    now: datetime

    @property
    def isp(self) -> Blueprint:
        return self.network.isp

    @property
    def release(self) -> Release:
        """The RouterOS release of this router."""
        return RELEASES[self.router.os]

    @property
    def links(self) -> tuple[tuple[Link, Port], ...]:
        return self.isp.links_at(self.router.name)

    @property
    def started_at(self) -> datetime:
        return self.network.record_of(self.router).since

    @property
    def uptime(self) -> timedelta:
        return self.now - self.started_at

    def changes(self, menu: str | None = None) -> list[Change]:
        """Configuration changes of this router, or of one menu of it, latest last."""
        return [
            change
            for change in self.network.changes
            if change.device == self.router.name and menu in {None, change.menu}
        ]

    def local(self, at: datetime) -> str:
        return formats.timestamp(at, self.isp.zone_offset, is_v6=self.release.is_v6)
