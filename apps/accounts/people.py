"""Accounts of people: found by what is typed at sign-in, proven, taken over by the owner of the address, ended."""

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
ACCOUNT_EXISTS = "You have an account: sign in, and accept the invitation there."


def address_digest(address: str) -> bytes:
    """What an address is looked up by where the address itself is not kept."""
    return hashlib.sha256(f"invitation:{address.casefold()}".encode()).digest()


def local_name(tenant: Tenant, address: str) -> str:
    """The name to sign in with of an account of one tenant. No mail address has a colon before the ``@``."""
    return f"{tenant.slug}{SEPARATOR}{address}"


def account_name(typed: str, *, known: str = "") -> str:
    """The account that somebody means who types this at sign-in.

    ``known``: the account of this address that signed in with their browser before, or empty. Where the installation
    has one tenant, the address is enough for its accounts too, unless an account has exactly the name that was typed:
    a tenant must not come before it. Never more than one account is tried: neither the answer nor its time tells a
    tenant that an address has an account elsewhere.
    """
    if SEPARATOR in typed or not typed or known:
        return known or typed
    tenants = list(Tenant.objects.order_by("pk")[:2])
    if len(tenants) != 1:
        return typed
    local = local_name(tenants[0], typed)
    # One query for both names, so that the time is the same whichever exists.
    rows = User.objects.filter(Q(email__iexact=typed) | Q(email__iexact=local))
    names = {name.casefold() for name in rows.values_list("email", flat=True)}
    return local if names == {local.casefold()} else typed


def may_be_taken_over(user: User) -> bool:
    """Whether a link that went to the mailbox may give this account to its reader, and end what opened it before.

    Not where more than a mailbox protects the account: it has a second factor, must have one, or is a platform
    operator's. The platform's operator says whose address that is (``verify_email``).
    """
    if user.email_verified_at is not None or user.local_tenant_id is not None:
        return False
    # Whether active or not: a deactivated operator stays protected.
    is_operator = PlatformOperator.objects.filter(user=user).exists()
    return not (is_operator or second_factor.is_owed(user) or must_keep_factor(user))


def must_sign_in(address: str) -> bool:
    """Whether the address has an account that a link to the mailbox does not open."""
    user = User.objects.filter(email__iexact=address).first()
    return user is not None and not may_be_taken_over(user)


def verify_email(*, user: User, actor: Actor, at: datetime) -> None:
    """Note that the address was shown to be the person's. Idempotent."""
    rows = User.objects.filter(pk=user.pk, email_verified_at=None, local_tenant=None)
    if rows.update(email_verified_at=at):
        user.email_verified_at = at
        record_platform(action="email.verified", actor=actor, entity=("user", user.pk), at=at)


def take_over(*, user: User, password: str, at: datetime) -> None:
    """Give an account whose address was never proven to the owner of the address, who has just shown it by mail.

    Whatever opened it before ends: password, sessions, tokens, second factors, identities. Its memberships stay, and
    so does its name: no tenant learns of the owner by this. Raises SignInFirst if it may not be taken over.

    Locks: the person, as does whoever adds a second factor.
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
    """End an account of one tenant together with its membership; its name becomes free. Others are left alone."""
    if user.local_tenant_id is None or Membership.objects.filter(user=user).exists():
        return
    user.is_active = False
    user.email = f"{user.email}#{user.pk.hex}"
    user.set_unusable_password()
    user.save(update_fields=["is_active", "email", "password"])
    end_other_sessions(user=user, keep=None, actor=actor, at=at)
