from apps.inventory.models.aliases import EntityAlias
from apps.inventory.models.credentials import DeviceCredential
from apps.inventory.models.devices import Device, Interface
from apps.inventory.models.grants import DeviceGrant, SiteGrant
from apps.inventory.models.links import Link
from apps.inventory.models.login_approvals import LoginApproval
from apps.inventory.models.sessions import BgpPeer, OspfNeighbor
from apps.inventory.models.sites import Site
from apps.inventory.models.targets import ProbeTarget, Service

__all__ = [
    "BgpPeer",
    "Device",
    "DeviceCredential",
    "DeviceGrant",
    "EntityAlias",
    "Interface",
    "Link",
    "LoginApproval",
    "OspfNeighbor",
    "ProbeTarget",
    "Service",
    "Site",
    "SiteGrant",
]
