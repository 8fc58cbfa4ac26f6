"""Accounts of people: found by what is typed at sign-in, proven, taken over by the owner of the address, ended."""

import hashlib
from datetime import datetime

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db import transaction

from apps.accounts.actors import Actor
from apps.accounts.models import ApiToken, Membership, User
from apps.accounts.sessions import end_other_sessions
from apps.audit.services import record_platform
from apps.tenancy.models import Tenant

SEPARATOR = ":"


def address_digest(address: str) -> bytes:
    """What an address is looked up by where the address itself is not kept."""
    return hashlib.sha256(f"invitation:{address.casefold()}".encode()).digest()


def local_name(tenant: Tenant, address: str) -> str:
    """The name to sign in with of an account of one tenant. No mail address has a colon before the ``@``."""
    return f"{tenant.slug}{SEPARATOR}{address}"


def account_name(typed: str, *, known: str = "") -> str:
    """The account that somebody means who types this at sign-in.

    ``known``: the account of this address that signed in with their browser before, or empty. Where the installation
    has one tenant, its accounts are meant first. Never more than one account is tried: neither the answer nor its time
    tells a tenant that an address has an account elsewhere.
    """
    if SEPARATOR in typed or not typed or known:
        return known or typed
    tenants = list(Tenant.objects.order_by("pk")[:2])
    local = local_name(tenants[0], typed) if len(tenants) == 1 else ""
    return local if local and User.objects.filter(email__iexact=local).exists() else typed


def owner_of(address: str) -> User | None:
    """The account of this address, if its person has proven the address."""
    return User.objects.filter(email__iexact=address).exclude(email_verified_at=None).first()


def verify_email(*, user: User, actor: Actor, at: datetime) -> None:
    """Note that the address was shown to be the person's. Idempotent."""
    rows = User.objects.filter(pk=user.pk, email_verified_at=None, local_tenant=None)
    if rows.update(email_verified_at=at):
        user.email_verified_at = at
        record_platform(action="email.verified", actor=actor, entity=("user", user.pk), at=at)


def take_over(*, user: User, password: str, at: datetime) -> None:
    """Give an account whose address was never proven to the owner of the address, who has just shown it by mail.

    Whatever opened it before ends: password, sessions, tokens, second factors, identities. Its memberships stay, and
    so does its name: no tenant learns of the owner by this.
    """
    actor = Actor("user", str(user.pk), user.label)
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
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
