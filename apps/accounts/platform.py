"""Platform operators: the tenants of the installation, and going into one with a reason, for a limited time."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.access import PlatformAccess
from apps.accounts.errors import NotPlatformOperator
from apps.accounts.models import BreakGlass, User
from apps.accounts.selectors import is_platform_operator
from apps.accounts.visits import (
    LEAST_LETTERS,
    LONGEST_REASON,
    SHORTEST_REASON,
    clean_reason,
    summary_of,
)
from apps.audit.services import record, record_platform
from apps.authorization.actors import Actor
from apps.core.errors import DomainError, NotVisible
from apps.events import due
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

#: Due once, when a visit's time is over.
END_VISIT = "accounts.end_visit"
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
    cleaned = clean_reason(reason)
    if cleaned is None:
        raise ReasonNeeded(
            message=_(
                "Say why, in %(least)d to %(most)d characters with at least %(letters)d letters: the tenant reads it."
            )
            % {"least": SHORTEST_REASON, "most": LONGEST_REASON, "letters": LEAST_LETTERS}
        )
    if not 1 <= minutes <= MOST_MINUTES:
        raise TooLong(message=_("Between 1 and %(most)d minutes.") % {"most": MOST_MINUTES})
    tenant = get_tenant(tenant_id)
    if not tenant.is_active:
        raise NotVisible
    ends = at + timedelta(minutes=minutes)
    with acting_in(tenant):
        _close(access, tenant, at)
        stay = BreakGlass.objects.create(
            user=access.user, reason=cleaned, opened_at=at, expires_at=ends
        )
        due.schedule(END_VISIT, at=ends, tenant_id=tenant.pk, ref=str(stay.pk))
        _tell(
            "platform.entered",
            access.actor,
            tenant,
            at,
            {"reason": cleaned, "minutes": minutes, "stay": str(stay.pk)},
        )
    return stay


def leave_tenant(*, access: PlatformAccess, tenant_id: UUID, at: datetime) -> None:
    """End the stay in a tenant. Idempotent. Raises NotVisible."""
    tenant = get_tenant(tenant_id)
    with acting_in(tenant):
        _close(access, tenant, at)


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


def _close(access: PlatformAccess, tenant: Tenant, at: datetime) -> None:
    """End the operator's open visit and list to the tenant what was done in it."""
    row = BreakGlass.objects.filter(user=access.user, closed_at=None).first()
    if row is None:
        return
    # A visit that expired before it was closed ended when it expired.
    row.closed_at = min(at, row.expires_at)
    if BreakGlass.objects.filter(pk=row.pk, closed_at=None).update(closed_at=row.closed_at):
        _tell("platform.left", access.actor, tenant, at, summary_of(row))


def _tell(
    action: str, actor: Actor, tenant: Tenant, at: datetime, detail: dict[str, object]
) -> None:
    """To both chains, in the act's own transaction: the tenant's first, always, so that acts never wait in a ring."""
    told = {"action": action, "actor": actor, "entity": ("tenant", tenant.pk), "at": at}
    with transaction.atomic():
        record(**told, detail=detail)  # type: ignore[arg-type]  # a literal of just these
        record_platform(**told, detail={**detail, "slug": tenant.slug})  # type: ignore[arg-type]
