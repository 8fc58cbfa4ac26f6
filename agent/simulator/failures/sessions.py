"""Failures of BGP sessions and PPPoE while all ports are up."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from agent.simulator.blueprint import Blueprint, LinkKind
from agent.simulator.effects import Effects
from agent.simulator.failures.base import (
    Failure,
    MalformedFailure,
    UnknownTarget,
    require_device,
    require_link,
)


@dataclass(frozen=True)
class UpstreamDown(Failure):
    """The BGP session of an upstream is down while its link is up."""

    kind: ClassVar[str] = "upstream_down"

    link: str

    def check(self, isp: Blueprint) -> None:
        require_link(isp, self.link)
        link = isp.link(self.link)
        if link is None or link.kind is not LinkKind.UPSTREAM:
            raise MalformedFailure("`link` must be a link of kind upstream.")

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del at
        return Effects(
            peers_down=frozenset(
                (peer.device, peer.name) for peer in isp.bgp_peers if peer.link == self.link
            )
        )


@dataclass(frozen=True)
class BgpDown(Failure):
    """One BGP session is down on both of its ends."""

    kind: ClassVar[str] = "bgp_down"

    device: str
    peer: str

    def check(self, isp: Blueprint) -> None:
        require_device(isp, self.device)
        if not self._ends(isp):
            raise UnknownTarget("peer", "GET /topology")

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del at
        return Effects(peers_down=self._ends(isp))

    def _ends(self, isp: Blueprint) -> frozenset[tuple[str, str]]:
        """Device and peer name of both ends of the session."""
        ours = [p for p in isp.bgp_peers if (p.device, p.name) == (self.device, self.peer)]
        theirs = [
            other
            for peer in ours
            for other in isp.bgp_peers
            if (other.device, other.remote_device) == (peer.remote_device, peer.device)
        ]
        return frozenset((peer.device, peer.name) for peer in (*ours, *theirs))


@dataclass(frozen=True)
class PppoeDown(Failure):
    """The PPPoE server is down: no sessions on a router that otherwise works."""

    kind: ClassVar[str] = "pppoe_down"

    device: str

    def check(self, isp: Blueprint) -> None:
        require_device(isp, self.device)
        if isp.service_at(self.device) is None:
            raise MalformedFailure("`device` has no PPPoE service.")

    def effects(self, isp: Blueprint, *, at: datetime) -> Effects:
        del isp, at
        return Effects(services_down=frozenset({self.device}))
