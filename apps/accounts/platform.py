"""Platform operators: the tenants of the installation, and going into one with a reason, for a limited time."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.access import PlatformAccess
from apps.accounts.actors import Actor
from apps.accounts.errors import NotPlatformOperator
from apps.accounts.models import BreakGlass, User
from apps.accounts.selectors import is_platform_operator
from apps.audit.services import record, record_platform
from apps.core.errors import DomainError, NotVisible
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

SHORTEST_REASON = 10
LONGEST_REASON = 500
MOST_MINUTES = 240
MINUTES = 60


class ReasonNeeded(DomainError):
    """The tenant reads why: a word is not enough."""

    default_code = "reason_needed"


class TooLong(DomainError):
    """A stay has an end that is near."""

    default_code = "stay_too_long"


def platform_access(user: User) -> PlatformAccess:
    """What a person may do outside of tenants. Raises NotPlatformOperator."""
    if not is_platform_operator(user):
        raise NotPlatformOperator
    return PlatformAccess(user, Actor("platform", str(user.id), user.label))


def enter_tenant(
    *, access: PlatformAccess, tenant_id: UUID, reason: str, minutes: int, at: datetime
) -> BreakGlass:
    """Begin a stay in a tenant; one that is open already is ended first. Written to the tenant's audit log and to the
    platform's. Raises NotVisible, ReasonNeeded, TooLong."""
    reason = " ".join(reason.split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise ReasonNeeded(
            message=_("Say why, in %(least)d to %(most)d characters: the tenant reads it.")
            % {"least": SHORTEST_REASON, "most": LONGEST_REASON}
        )
    if not 1 <= minutes <= MOST_MINUTES:
        raise TooLong(message=_("Between 1 and %(most)d minutes.") % {"most": MOST_MINUTES})
    tenant = get_tenant(tenant_id)
    if not tenant.is_active:
        raise NotVisible
    ends = at + timedelta(minutes=minutes)
    with acting_in(tenant):
        BreakGlass.objects.filter(user=access.user, closed_at=None).update(closed_at=at)
        stay = BreakGlass.objects.create(
            user=access.user, reason=reason, opened_at=at, expires_at=ends
        )
        _tell(
            "platform.entered",
            access.actor,
            tenant,
            at,
            {"reason": reason, "minutes": minutes, "stay": str(stay.pk)},
        )
    return stay


def leave_tenant(*, access: PlatformAccess, tenant_id: UUID, at: datetime) -> None:
    """End the stay in a tenant. Idempotent. Raises NotVisible."""
    tenant = get_tenant(tenant_id)
    with acting_in(tenant):
        if BreakGlass.objects.filter(user=access.user, closed_at=None).update(closed_at=at):
            _tell("platform.left", access.actor, tenant, at, {})


def set_tenant_active(
    *, tenant: Tenant, is_active: bool, access: PlatformAccess, at: datetime
) -> Tenant:
    """Suspend a tenant (nobody works in it, its data stays) or let it go on; acts on the next request. Idempotent."""
    with acting_in(tenant):
        if Tenant.objects.filter(pk=tenant.pk, is_active=not is_active).update(is_active=is_active):
            action = "tenant.resumed" if is_active else "tenant.suspended"
            _tell(action, access.actor, tenant, at, {})
    tenant.is_active = is_active
    return tenant


def rename_tenant(*, tenant: Tenant, name: str, actor: Actor, at: datetime) -> Tenant:
    """What a tenant is called; its slug stays. Inside the tenant."""
    tenant.name = name
    tenant.save(update_fields=["name"])
    record(
        action="tenant.renamed",
        actor=actor,
        entity=("tenant", tenant.pk),
        at=at,
        detail={"name": name},
    )
    return tenant


def get_tenant(tenant_id: UUID) -> Tenant:
    """Any tenant, for who may see them all. Raises NotVisible."""
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        raise NotVisible
    return tenant


def _tell(
    action: str, actor: Actor, tenant: Tenant, at: datetime, detail: dict[str, object]
) -> None:
    """To both chains, in the act's own transaction: the tenant's first, always, so that acts never wait in a ring."""
    told = {"action": action, "actor": actor, "entity": ("tenant", tenant.pk), "at": at}
    with transaction.atomic():
        record(**told, detail=detail)  # type: ignore[arg-type]  # a literal of just these
        record_platform(**told, detail={**detail, "slug": tenant.slug})  # type: ignore[arg-type]
