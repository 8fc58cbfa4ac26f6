"""What limited members may see, given and taken. django-guardian keeps it; the models carry the tenant."""

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
#: Plain codenames: guardian reads what stands before a dot as an app.
VIEW = {Site: "view_site", Device: "view_device"}


def grant(*, user_id: UUID, row: Site | Device, actor: Actor, at: datetime) -> Grant:
    """Let a member see a site or a router and what is below it. Raises NotVisible for who is no member.

    Idempotent: a grant that is there already stands.
    """
    refuse_in_access_session(actor)
    user = User.objects.filter(
        memberships__tenant_id=require_tenant_id(), memberships__user_id=user_id
    ).first()
    if user is None:
        raise NotVisible
    made = cast(Grant, assign_perm(VIEW[type(row)], user, row))
    _record("grant.given", made, actor, at)
    return made


def revoke_grant(*, grant: Grant, actor: Actor, at: datetime) -> None:
    """Take a grant back; the member's next request no longer sees the row."""
    _record("grant.taken", grant, actor, at)
    grant.delete()


def _record(action: str, made: Grant, actor: Actor, at: datetime) -> None:
    kind = "site" if isinstance(made, SiteGrant) else "device"
    record(
        action=action,
        actor=actor,
        entity=("user", made.user_id),
        at=at,
        detail={kind: str(made.content_object_id)},
    )
