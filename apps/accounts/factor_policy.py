"""Second-factor policy: required for the roles that a tenant configures, and for every platform operator.

The factors of a sign-in are stored in the session, so that requests need no query. A session without a required factor
can only open the pages on which a factor is set up or confirmed.
"""

from collections.abc import Collection, MutableMapping, Sequence
from datetime import datetime
from typing import Any

from apps.accounts.access import MemberAccess
from apps.accounts.errors import SecondFactorRequired
from apps.accounts.models import Membership, User
from apps.accounts.selectors import is_platform_operator
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.tenancy.models import Tenant

#: In the session: ``OWN`` or ``PROVIDER``; absent: by one factor alone.
SESSION_FACTOR = "second_factor"
OWN, PROVIDER = "own", "provider"
#: In the session of a platform operator, from sign-in on.
SESSION_OPERATOR = "is_platform_operator"

OWN_METHODS = frozenset({"totp", "recovery_code", "passkey"})
#: The ``amr`` value of a provider for more than one factor (RFC 8176).
PROVIDER_METHOD = "mfa"


def store_factors(session: MutableMapping[str, Any], user: User, methods: Sequence[str]) -> None:
    """At sign-in: store which factors were used."""
    session.pop(SESSION_FACTOR, None)
    if OWN_METHODS.intersection(methods):
        store_own_factor(session)
    elif PROVIDER_METHOD in methods:
        session[SESSION_FACTOR] = PROVIDER
    session[SESSION_OPERATOR] = is_platform_operator(user)


def store_own_factor(session: MutableMapping[str, Any]) -> None:
    """The user has confirmed a second factor in this session, or has just set one up in it."""
    session[SESSION_FACTOR] = OWN


def has_own_factor(session: MutableMapping[str, Any]) -> bool:
    return session.get(SESSION_FACTOR) == OWN


def lacks_factor(session: MutableMapping[str, Any], access: MemberAccess | None) -> bool:
    """Whether this session needs a second factor before it can be used."""
    if has_own_factor(session):
        return False
    if session.get(SESSION_OPERATOR):
        return True
    if access is None:
        return False
    if access.break_glass is not None:
        return True
    if access.role not in access.tenant.second_factor_roles:
        return False
    return not (session.get(SESSION_FACTOR) == PROVIDER and access.tenant.accepts_provider_factor)


def require_factor(session: MutableMapping[str, Any], access: MemberAccess | None) -> None:
    """Raise SecondFactorRequired for a session that lacks a factor."""
    if lacks_factor(session, access):
        raise _required()


def require_own_factor(session: MutableMapping[str, Any]) -> None:
    """Raise SecondFactorRequired unless the user confirmed a second factor of their own in this session.

    Required of platform operators, and before factors are changed."""
    if not has_own_factor(session):
        raise _required()


def must_keep_factor(user: User) -> bool:
    """Whether a policy requires this user to have a second factor."""
    rows = Membership.objects.filter(user=user, tenant__is_active=True).select_related("tenant")
    return is_platform_operator(user) or any(
        row.role in row.tenant.second_factor_roles and not row.tenant.accepts_provider_factor
        for row in rows
    )


def set_sign_in_policy(
    *,
    tenant: Tenant,
    second_factor_roles: Collection[str],
    accepts_provider_factor: bool,
    actor: Actor,
    at: datetime,
) -> Tenant:
    """Set which roles need a second factor in the current tenant; takes effect on the next request. Idempotent."""
    roles = [role for role in Role.values if role in set(second_factor_roles)]
    values = {
        "second_factor_roles": roles,
        "accepts_provider_factor": accepts_provider_factor,
    }
    before = {name: getattr(tenant, name) for name in values}
    if before == values:
        return tenant
    for name, value in values.items():
        setattr(tenant, name, value)
    tenant.save(update_fields=list(values))
    record(
        action="tenant.sign_in_policy_set",
        actor=actor,
        entity=("tenant", tenant.pk),
        at=at,
        detail={"before": before, "after": values},
    )
    return tenant


def _required() -> SecondFactorRequired:
    return SecondFactorRequired(
        message="A second factor is required. Set one up or confirm yours on the page /account/second-factor/."
    )
