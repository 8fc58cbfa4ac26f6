"""User accounts: resolving the login name, verifying the address, takeover by the address's owner, deactivation."""

import hashlib
from datetime import datetime

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.db.models import Q

from apps.accounts import second_factor
from apps.accounts.errors import SignInFirst
from apps.accounts.factor_policy import must_keep_factor
from apps.accounts.models import ApiToken, Membership, PlatformOperator, User
from apps.accounts.sessions import end_other_sessions
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.tenancy.models import Tenant

SEPARATOR = ":"
ACCOUNT_EXISTS = "You already have an account. Sign in to accept the invitation."


def address_digest(address: str) -> bytes:
    """The digest that is stored where an address must be found but not stored."""
    return hashlib.sha256(f"invitation:{address.casefold()}".encode()).digest()


def local_account_name(tenant: Tenant, address: str) -> str:
    """The login name of an account that is valid for one tenant only. A mail address has no colon before the ``@``."""
    return f"{tenant.slug}{SEPARATOR}{address}"


def account_name(name: str, *, known_name: str = "") -> str:
    """The login name of the account for a name as entered.

    ``known_name``: the account with this address that signed in with the same browser before, or empty. On an
    installation with one tenant, the address alone is accepted for that tenant's local accounts, unless an account has
    exactly this name. Only one account is ever tried, so that neither the response nor its time reveals accounts
    elsewhere.
    """
    if SEPARATOR in name or not name or known_name:
        return known_name or name
    tenants = list(Tenant.objects.order_by("pk")[:2])
    if len(tenants) != 1:
        return name
    local = local_account_name(tenants[0], name)
    # One query for both names, so that the time is the same whichever exists.
    rows = User.objects.filter(Q(email__iexact=name) | Q(email__iexact=local))
    names = {name.casefold() for name in rows.values_list("email", flat=True)}
    return local if names == {local.casefold()} else name


def may_be_taken_over(user: User) -> bool:
    """Whether a mailed link may hand this account over to the owner of the mailbox, ending its former credentials.

    Not if the address is verified, or the account has more protection than a mailbox: a second factor, a policy that
    requires one, or a platform operator's rights. Then the platform operator verifies the address (``verify_email``).
    """
    if user.email_verified_at is not None or user.local_tenant_id is not None:
        return False
    # Active or not: the account of a deactivated operator stays protected.
    is_operator = PlatformOperator.objects.filter(user=user).exists()
    return not (is_operator or second_factor.is_required(user) or must_keep_factor(user))


def must_sign_in(address: str) -> bool:
    """Whether the address has an account that a mailed link cannot take over."""
    user = User.objects.filter(email__iexact=address).first()
    return user is not None and not may_be_taken_over(user)


def verify_email(*, user: User, actor: Actor, at: datetime) -> None:
    """Mark the user's address as verified. Idempotent."""
    rows = User.objects.filter(pk=user.pk, email_verified_at=None, local_tenant=None)
    if rows.update(email_verified_at=at):
        user.email_verified_at = at
        record_platform(action="email.verified", actor=actor, entity=("user", user.pk), at=at)


def take_over(*, user: User, password: str, at: datetime) -> None:
    """Hand an account whose address was never verified over to the owner of the address, who verified it by mail.

    All former credentials end: password, sessions, tokens, second factors, identities. Memberships and name are kept,
    so that no tenant learns about the owner. Raises SignInFirst if the account may not be taken over.

    Locks: the user, as adding a second factor does.
    """
    actor = Actor("user", str(user.pk), user.label)
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if not may_be_taken_over(user):
            raise SignInFirst(message=ACCOUNT_EXISTS)
        user.set_password(password)
        user.email_verified_at = at
        user.save(update_fields=["password", "email_verified_at"])
        Authenticator.objects.filter(user=user).delete()
        SocialAccount.objects.filter(user=user).delete()
        ApiToken.objects.filter(user=user, revoked_at=None).update(revoked_at=at)
        end_other_sessions(user=user, keep=None, actor=actor, at=at)
        record_platform(action="account.taken_over", actor=actor, entity=("user", user.pk), at=at)


def end_local_account(*, user: User, actor: Actor, at: datetime) -> None:
    """Deactivate an account that was valid for one tenant only, after its membership ended; frees its login name."""
    if user.local_tenant_id is None or Membership.objects.filter(user=user).exists():
        return
    user.is_active = False
    user.email = f"{user.email}#{user.pk.hex}"
    user.set_unusable_password()
    user.save(update_fields=["is_active", "email", "password"])
    end_other_sessions(user=user, keep=None, actor=actor, at=at)
