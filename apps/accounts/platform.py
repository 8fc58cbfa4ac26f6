"""Platform operators: managing the installation's tenants, and opening one with a reason, for a limited time."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.access import PlatformAccess
from apps.accounts.access_sessions import (
    MAX_REASON_LENGTH,
    MIN_LETTERS,
    MIN_REASON_LENGTH,
    clean_reason,
    summary_of,
)
from apps.accounts.errors import NotPlatformOperator
from apps.accounts.models import BreakGlass, User
from apps.accounts.selectors import is_platform_operator
from apps.audit.services import record, record_platform
from apps.authorization.actors import Actor
from apps.core.errors import DomainError, NotVisible
from apps.events import due
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

#: Due once, when an access session expires.
END_ACCESS_SESSION = "accounts.end_access_session"
MAX_MINUTES = 240
DEFAULT_MINUTES = 60


class ReasonNeeded(DomainError):
    """The reason is too short or not readable. The tenant sees it."""

    default_code = "reason_needed"


class TooLong(DomainError):
    """The access session is longer than allowed."""

    default_code = "access_session_too_long"


def platform_access(user: User) -> PlatformAccess:
    """The platform-wide access of a user. Raises NotPlatformOperator."""
    if not is_platform_operator(user):
        raise NotPlatformOperator
    return PlatformAccess(user, Actor("platform", str(user.id), user.label))


def open_access_session(
    *, access: PlatformAccess, tenant_id: UUID, reason: str, minutes: int, at: datetime
) -> BreakGlass:
    """Open an access session in a tenant, closing one that is open already. Recorded in the tenant's audit log and the
    platform's. Raises NotVisible, ReasonNeeded, TooLong."""
    cleaned = clean_reason(reason)
    if cleaned is None:
        raise ReasonNeeded(
            message=_(
                "Enter a reason of %(min)d to %(max)d characters with at least %(letters)d letters. The tenant sees it."
            )
            % {"min": MIN_REASON_LENGTH, "max": MAX_REASON_LENGTH, "letters": MIN_LETTERS}
        )
    if not 1 <= minutes <= MAX_MINUTES:
        raise TooLong(message=_("Between 1 and %(most)d minutes.") % {"most": MAX_MINUTES})
    tenant = get_tenant(tenant_id)
    if not tenant.is_active:
        raise NotVisible
    ends = at + timedelta(minutes=minutes)
    with acting_in(tenant):
        _close(access, tenant, at)
        session = BreakGlass.objects.create(
            user=access.user, reason=cleaned, opened_at=at, expires_at=ends
        )
        due.schedule(END_ACCESS_SESSION, at=ends, tenant_id=tenant.pk, ref=str(session.pk))
        _record_both(
            "platform.access_session_opened",
            access.actor,
            tenant,
            at,
            {"reason": cleaned, "minutes": minutes, "access_session": str(session.pk)},
        )
    return session


def close_access_session(*, access: PlatformAccess, tenant_id: UUID, at: datetime) -> None:
    """Close the access session in a tenant. Idempotent. Raises NotVisible."""
    tenant = get_tenant(tenant_id)
    with acting_in(tenant):
        _close(access, tenant, at)


def set_tenant_active(
    *, tenant: Tenant, is_active: bool, access: PlatformAccess, at: datetime
) -> Tenant:
    """Suspend a tenant (no access, data is kept) or resume it; takes effect on the next request. Idempotent."""
    with acting_in(tenant):
        if Tenant.objects.filter(pk=tenant.pk, is_active=not is_active).update(is_active=is_active):
            action = "tenant.resumed" if is_active else "tenant.suspended"
            _record_both(action, access.actor, tenant, at, {})
    tenant.is_active = is_active
    return tenant


def rename_tenant(*, tenant: Tenant, name: str, actor: Actor, at: datetime) -> Tenant:
    """Change a tenant's name; its slug does not change. Call inside the tenant."""
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
    """Any tenant of the installation. Raises NotVisible."""
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        raise NotVisible
    return tenant


def _close(access: PlatformAccess, tenant: Tenant, at: datetime) -> None:
    """Close the operator's open access session and record a summary of it in the tenant's audit log."""
    row = BreakGlass.objects.filter(user=access.user, closed_at=None).first()
    if row is None:
        return
    # A session that expired before it was closed ended when it expired.
    row.closed_at = min(at, row.expires_at)
    if BreakGlass.objects.filter(pk=row.pk, closed_at=None).update(closed_at=row.closed_at):
        _record_both("platform.access_session_closed", access.actor, tenant, at, summary_of(row))


def _record_both(
    action: str, actor: Actor, tenant: Tenant, at: datetime, detail: dict[str, object]
) -> None:
    """Record in both audit chains. The tenant's chain is always locked first: another order could deadlock."""
    entity = ("tenant", tenant.pk)
    with transaction.atomic():
        record(action=action, actor=actor, entity=entity, at=at, detail=detail)
        record_platform(
            action=action, actor=actor, entity=entity, at=at, detail={**detail, "slug": tenant.slug}
        )
