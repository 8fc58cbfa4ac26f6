"""The closed list of permissions and the one role table."""

from enum import StrEnum
from types import MappingProxyType

from apps.authorization.choices import Role


class Permission(StrEnum):
    """Permissions of members. Every endpoint declares one."""

    INVENTORY_VIEW = "inventory.view"
    INVENTORY_CHANGE = "inventory.change"
    TOPOLOGY_VIEW = "topology.view"
    TOPOLOGY_CHANGE = "topology.change"
    TELEMETRY_VIEW = "telemetry.view"
    AGENTS_VIEW = "agents.view"
    AGENTS_MANAGE = "agents.manage"
    ALERTS_VIEW = "alerts.view"
    ALERTS_TUNE = "alerts.tune"
    MAINTENANCE_VIEW = "maintenance.view"
    MAINTENANCE_PLAN = "maintenance.plan"
    INCIDENTS_VIEW = "incidents.view"
    INCIDENTS_ACT = "incidents.act"
    WEBHOOKS_VIEW = "webhooks.view"
    WEBHOOKS_MANAGE = "webhooks.manage"
    CREDENTIALS_MANAGE = "credentials.manage"
    LOGINS_APPROVE = "logins.approve"
    DIAGNOSTICS_RUN = "diagnostics.run"
    TOKENS_MANAGE = "tokens.manage"
    MEMBERS_VIEW = "members.view"
    MEMBERS_MANAGE = "members.manage"
    TENANT_MANAGE = "tenant.manage"
    AUDIT_VIEW = "audit.view"
    SELF = "self"


class PlatformPermission(StrEnum):
    """Permissions of platform operators outside of tenants."""

    TENANTS_VIEW = "platform.tenants.view"
    TENANTS_MANAGE = "platform.tenants.manage"
    BREAK_GLASS = "platform.break_glass"


class PersonalPermission(StrEnum):
    """Permissions of every signed-in user, on their own data."""

    INVITATIONS = "my.invitations"


_VIEWS = frozenset(
    {
        Permission.INVENTORY_VIEW,
        Permission.TOPOLOGY_VIEW,
        Permission.TELEMETRY_VIEW,
        Permission.AGENTS_VIEW,
        Permission.ALERTS_VIEW,
        Permission.MAINTENANCE_VIEW,
        Permission.INCIDENTS_VIEW,
        Permission.SELF,
    }
)

ROLE_TABLE = MappingProxyType(
    {
        Role.ADMIN: frozenset(Permission),
        Role.NOC: _VIEWS
        | {
            Permission.INCIDENTS_ACT,
            Permission.ALERTS_TUNE,
            Permission.DIAGNOSTICS_RUN,
            Permission.MAINTENANCE_PLAN,
            Permission.WEBHOOKS_VIEW,
            Permission.MEMBERS_VIEW,
        },
        Role.READONLY: _VIEWS,
        Role.AUDITOR: _VIEWS
        | {Permission.AUDIT_VIEW, Permission.WEBHOOKS_VIEW, Permission.MEMBERS_VIEW},
    }
)

#: The permissions that a limited member can have, whatever the role: others show rows of the whole tenant.
LIMITED_PERMISSIONS = frozenset(
    {
        Permission.INVENTORY_VIEW,
        Permission.TELEMETRY_VIEW,
        Permission.ALERTS_VIEW,
        Permission.INCIDENTS_VIEW,
        Permission.INCIDENTS_ACT,
        Permission.MAINTENANCE_VIEW,
        Permission.MAINTENANCE_PLAN,
        Permission.SELF,
    }
)


#: Permissions that a token has only as an explicit scope, granted after recent authentication.
EXPLICIT_ONLY = frozenset({Permission.LOGINS_APPROVE})

#: The role of a platform operator in a tenant. No membership can have it.
PLATFORM = "platform"

#: Permissions of a platform operator in a tenant: nothing that outlasts the access (tokens, members, logins).
BREAK_GLASS = frozenset(Permission) - {
    Permission.CREDENTIALS_MANAGE,
    Permission.LOGINS_APPROVE,
    Permission.TOKENS_MANAGE,
    Permission.MEMBERS_MANAGE,
    Permission.TENANT_MANAGE,
}


def role_allows(role: str, permission: Permission) -> bool:
    """Whether the role table gives this permission to this role; unknown roles get nothing."""
    if role == PLATFORM:
        return permission in BREAK_GLASS
    try:
        return permission in ROLE_TABLE[Role(role)]
    except ValueError:
        return False
