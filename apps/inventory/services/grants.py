"""Object grants of limited members. Stored by django-guardian; the models have the tenant."""

from datetime import datetime
from typing import cast
from uuid import UUID

from guardian.shortcuts import assign_perm

from apps.accounts.access_sessions import refuse_in_access_session
from apps.accounts.models import User
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.errors import NotVisible
from apps.inventory.models import Device, DeviceGrant, Site, SiteGrant
from apps.tenancy.context import require_tenant_id

Grant = SiteGrant | DeviceGrant
#: Codenames without app label: guardian parses a dot as an app label.
VIEW = {Site: "view_site", Device: "view_device"}


def grant(*, user_id: UUID, row: Site | Device, actor: Actor, at: datetime) -> Grant:
    """Grant a member access to a site or device and what belongs to it. Raises NotVisible for non-members.

    Idempotent: an existing grant is unchanged.
    """
    refuse_in_access_session(actor)
    user = User.objects.filter(
        memberships__tenant_id=require_tenant_id(), memberships__user_id=user_id
    ).first()
    if user is None:
        raise NotVisible
    new_grant = cast(Grant, assign_perm(VIEW[type(row)], user, row))
    _record("grant.created", new_grant, actor, at)
    return new_grant


def revoke_grant(*, grant: Grant, actor: Actor, at: datetime) -> None:
    """Revoke a grant; effective with the member's next request."""
    _record("grant.revoked", grant, actor, at)
    grant.delete()


def _record(action: str, grant: Grant, actor: Actor, at: datetime) -> None:
    kind = "site" if isinstance(grant, SiteGrant) else "device"
    record(
        action=action,
        actor=actor,
        entity=("user", grant.user_id),
        at=at,
        detail={kind: str(grant.content_object_id)},
    )
