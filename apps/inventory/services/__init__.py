"""Writes of the inventory. Every change by a user is audited in the same transaction."""

from apps.inventory.errors import (
    DestinationChanged,
    InterfaceTaken,
    InUse,
    LoginApprovalRefused,
    LoginHeld,
    NameTaken,
)
from apps.inventory.services.credentials import credentials_of, set_device_credentials
from apps.inventory.services.devices import (
    create_device,
    delete_device,
    update_device,
    update_interface,
)
from apps.inventory.services.discovery import DiscoveryOutcome, apply_discovery
from apps.inventory.services.grants import grant, revoke_grant
from apps.inventory.services.links import bind_links, create_link, delete_link, update_link
from apps.inventory.services.login_approvals import (
    accept_certificate,
    approve_all_logins,
    approve_logins,
    assignment_change,
    require_login_approval,
)
from apps.inventory.services.sessions import (
    create_bgp_peer,
    create_ospf_neighbor,
    delete_discovered,
    wire_id_of,
)
from apps.inventory.services.sites import create_site, delete_site, update_site
from apps.inventory.services.targets import (
    create_default_probe_targets,
    create_probe_target,
    create_service,
    delete_probe_target,
    delete_service,
    ensure_pppoe_service,
    update_probe_target,
    update_service,
)

__all__ = [
    "DestinationChanged",
    "DiscoveryOutcome",
    "InUse",
    "InterfaceTaken",
    "LoginApprovalRefused",
    "LoginHeld",
    "NameTaken",
    "accept_certificate",
    "apply_discovery",
    "approve_all_logins",
    "approve_logins",
    "assignment_change",
    "bind_links",
    "create_bgp_peer",
    "create_default_probe_targets",
    "create_device",
    "create_link",
    "create_ospf_neighbor",
    "create_probe_target",
    "create_service",
    "create_site",
    "credentials_of",
    "delete_device",
    "delete_discovered",
    "delete_link",
    "delete_probe_target",
    "delete_service",
    "delete_site",
    "ensure_pppoe_service",
    "grant",
    "require_login_approval",
    "revoke_grant",
    "set_device_credentials",
    "update_device",
    "update_interface",
    "update_link",
    "update_probe_target",
    "update_service",
    "update_site",
    "wire_id_of",
]
