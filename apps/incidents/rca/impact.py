"""Impact: the entities without a path to an upstream. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.incidents.rca.impact_graph import Failed, ImpactGraph
from apps.topology.graph import DEVICE, SERVICE, SITE


@dataclass(frozen=True)
class Impact:
    """Entities that lost service. Subscribers are counted later, from the services' last good session counts."""

    site_ids: tuple[UUID, ...]
    device_ids: tuple[UUID, ...]
    service_ids: tuple[UUID, ...]

    def as_document(self) -> dict[str, Any]:
        return {
            "sites": [str(pk) for pk in self.site_ids],
            "devices": [str(pk) for pk in self.device_ids],
            "services": [str(pk) for pk in self.service_ids],
        }


def measure(network: ImpactGraph, failed: Failed) -> Impact:
    """Entities that work without these failures and not with them."""
    lost = network.without_service(failed) | {
        ref for ref in failed if ref[0] in {DEVICE, SERVICE, SITE}
    }
    devices = tuple(sorted(pk for kind, pk in lost if kind == DEVICE))
    services = tuple(sorted(pk for kind, pk in lost if kind == SERVICE))
    sites = {pk for kind, pk in lost if kind == SITE}
    for device_id in devices:
        site = network.site_of(device_id)
        if site is not None:
            sites.add(site[1])
    return Impact(tuple(sorted(sites)), devices, services)


def subscribers(impact: Impact, levels: Mapping[UUID, float]) -> int | None:
    """Sessions of the lost services by their last good count; null when none was ever counted."""
    counted = [levels[pk] for pk in impact.service_ids if pk in levels]
    if impact.service_ids and not counted:
        return None
    return round(sum(counted))
