"""Writes of accounts: tenants, users, memberships, tokens."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.access_sessions import refuse_in_access_session
from apps.accounts.errors import AccessEnded, NameTaken, ScopeNotHeld
from apps.accounts.models import ApiToken, Membership, User
from apps.accounts.tenant_defaults import install_tenant_defaults
from apps.audit.services import record, record_platform
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.authorization.permissions import EXPLICIT_ONLY
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

TOKEN_PREFIX = "ispvm_"  # noqa: S105  (a public marker, so that leaked tokens can be found)


def create_tenant(*, slug: str, name: str, actor: Actor, at: datetime) -> Tenant:
    """Create a tenant with its defaults, such as alert rules. Raises NameTaken."""
    with transaction.atomic():
        if Tenant.objects.filter(slug__iexact=slug).exists():
            raise NameTaken(message=f"A tenant with the slug {slug} exists already.")
        tenant = Tenant.objects.create(slug=slug, name=name)
        record_platform(action="tenant.created", actor=actor, entity=("tenant", tenant.id), at=at)
        install_tenant_defaults(tenant=tenant, actor=actor, at=at)
    return tenant


def create_user(
    *,
    email: str,
    password: str | None,
    full_name: str = "",
    verified_at: datetime | None = None,
    local_tenant: Tenant | None = None,
) -> User:
    """Create a user. Without a password they cannot sign in until they set one.

    ``verified_at``: when the address was verified. ``local_tenant``: the account is valid for this tenant only, and
    ``email`` is its ``users.local_account_name``.
    """
    first, _, last = full_name.partition(" ")
    return User.objects.create_user(
        email,
        password,
        first_name=first,
        last_name=last,
        email_verified_at=verified_at,
        local_tenant=local_tenant,
    )


def add_member(*, tenant: Tenant, user: User, role: Role, actor: Actor, at: datetime) -> Membership:
    """Add a user to a tenant with a role, or change the role; takes effect on their next request."""
    refuse_in_access_session(actor)
    with acting_in(tenant):
        membership, _ = Membership.objects.update_or_create(
            tenant=tenant, user=user, defaults={"role": role}
        )
        record(
            action="member.role_set",
            actor=actor,
            entity=("user", user.id),
            at=at,
            detail={"role": str(role)},
        )
    return membership


def token_digest(token: str) -> bytes:
    """The digest that is stored in place of a token."""
    return hashlib.sha256(token.encode()).digest()


def issue_token(
    *,
    tenant: Tenant,
    user: User,
    name: str,
    actor: Actor,
    at: datetime,
    days: int = 365,
    scopes: Collection[str] | None = None,
    parent: ApiToken | None = None,
    ends_with_password: bool = False,
) -> tuple[ApiToken, str]:
    """Issue an API token with the permissions of its user, or with these scopes only; its text is returned once.

    ``parent``: the token it is created with; it expires no later than its parent. Pages and REST use
    ``issue_token_as``. Raises ScopeNotHeld for a scope that needs a recent sign-in; AccessEnded if, since the request
    was authenticated, the parent was revoked, or the user was deactivated or their password changed.

    Locks: the user, then the parent.
    """
    refuse_in_access_session(actor)
    if EXPLICIT_ONLY.intersection(scopes or ()) and (
        actor.kind == "token" or not actor.approves_logins
    ):
        # A token cannot sign in again, so it cannot grant such a scope.
        raise ScopeNotHeld(scopes=", ".join(sorted(EXPLICIT_ONLY.intersection(scopes or ()))))
    expires_at = at + timedelta(days=days)
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with acting_in(tenant):
        _lock_creator(user, parent, actor)
        token = ApiToken.objects.create(
            tenant=tenant,
            user=user,
            name=name,
            prefix=text[:12],
            digest=token_digest(text),
            created_at=at,
            expires_at=min(expires_at, parent.expires_at) if parent else expires_at,
            scopes=None if scopes is None else sorted(scopes),
            parent=parent,
            ends_with_password=ends_with_password
            or (parent is not None and parent.ends_with_password),
        )
        record(
            action="token.issued",
            actor=actor,
            entity=("api_token", token.id),
            at=at,
            detail={
                "name": name,
                "prefix": token.prefix,
                "scopes": token.scopes,
                "ends_with_password": token.ends_with_password,
            },
        )
    return token, text


def _lock_creator(user: User, parent: ApiToken | None, actor: Actor) -> None:
    """Serialize with whatever revokes the creator's access, so that it either sees the new token or is seen here.

    A concurrent revocation lists the children once: a child inserted after that would survive it. The user is locked
    too, for revocations of all their tokens in one statement.
    """
    users = User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True)
    password = users.values_list("password", flat=True).first()
    # A changed password ends the user's sessions; the system has none.
    is_ended = password is None or (actor.kind == "user" and password != user.password)
    if parent is not None:
        parents = ApiToken.objects.select_for_update().filter(pk=parent.pk, revoked_at=None)
        is_ended = is_ended or not parents.exists()
    if is_ended:
        raise AccessEnded(message="Your access has ended. No token was created.")


def revoke_token(*, token: ApiToken, actor: Actor, at: datetime) -> None:
    """Revoke a token and all tokens created with it. Idempotent."""
    with acting_in(token.tenant_id):
        generation = [token.pk]
        while generation:
            rows = ApiToken.objects.filter(pk__in=generation, revoked_at=None)
            ended = list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
            ApiToken.objects.filter(pk__in=ended).update(revoked_at=at)
            for pk in ended:
                record(action="token.revoked", actor=actor, entity=("api_token", pk), at=at)
            generation = list(
                ApiToken.objects.filter(parent__in=generation, revoked_at=None).values_list(
                    "pk", flat=True
                )
            )
