"""Identities at providers: found by issuer and subject, linked by their user, or provisioned by rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from apps.accounts import mail_domains
from apps.accounts.errors import IdentityRefused, IdentityTaken, LastSignInMethod
from apps.accounts.models import InvitationAddress, Membership, User
from apps.accounts.oidc.config import Provider
from apps.accounts.selectors import is_platform_operator
from apps.accounts.services import add_member, create_user
from apps.accounts.users import address_digest
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.tenancy.models import Tenant

MAX_LABEL_LENGTH = 200


def user_for_identity(provider: Provider, claims: Mapping[str, Any], *, at: datetime) -> User:
    """The user who signs in. Raises IdentityRefused for an identity that is not linked and matches no rule.

    Users are never found by e-mail address: whoever controls the claims of a provider could impersonate them.
    """
    identity = _identity(provider, claims)
    if identity is not None:
        user: User = identity.user
        if not user.is_active:
            raise IdentityRefused
        require_may_vouch_for(provider, user)
        _update_label(identity, claims)
        return user
    return _provision(provider, claims, at)


def link(user: User, provider: Provider, claims: Mapping[str, Any], *, at: datetime) -> None:
    """Link an identity to a user. Idempotent for the same user. Raises IdentityTaken, IdentityRefused."""
    require_may_vouch_for(provider, user)
    identity = _identity(provider, claims)
    if identity is None:
        try:
            with transaction.atomic():
                identity = _create_identity(user, provider, claims)
        except IntegrityError:  # linked concurrently
            identity = _identity(provider, claims)
        else:
            _record("identity.linked", user, provider.issuer, at)
    if identity is None or identity.user_id != user.pk:
        raise IdentityTaken(message="This identity is linked to another user.")


def unlink(user: User, identity: SocialAccount, *, at: datetime) -> None:
    """Unlink an identity. Raises LastSignInMethod."""
    others = SocialAccount.objects.filter(user=user).exclude(pk=identity.pk)
    if not user.has_usable_password() and not others.exists():
        raise LastSignInMethod(message="You could not sign in any more. Set a password first.")
    issuer = identity.provider
    identity.delete()
    _record("identity.unlinked", user, issuer, at)


def identities_of(user: User) -> list[SocialAccount]:
    """A user's identities, for their own account page."""
    return list(SocialAccount.objects.filter(user=user).order_by("pk"))


def is_linked_to(user: User, provider: Provider, claims: Mapping[str, Any]) -> bool:
    """Whether this identity is linked to the user, and the provider may vouch for them."""
    identity = _identity(provider, claims)
    return identity is not None and identity.user_id == user.pk and may_vouch_for(provider, user)


def may_vouch_for(provider: Provider, user: User) -> bool:
    """Whether this provider may authenticate this user. Providers of the platform may authenticate anybody.

    A tenant's provider may only authenticate users who are members of that tenant alone and whose address is in one of
    its accepted mail domains, never platform operators: whoever runs the provider can impersonate its users.
    """
    if not provider.tenant:
        return True
    tenants = [row.tenant for row in Membership.objects.filter(user=user).select_related("tenant")]
    if [tenant.slug for tenant in tenants] != [provider.tenant] or not tenants[0].is_active:
        return False
    return mail_domains.is_accepted(tenants[0], user.email) and not is_platform_operator(user)


def require_may_vouch_for(provider: Provider, user: User) -> None:
    """Raise IdentityRefused unless the provider may authenticate this user."""
    if not may_vouch_for(provider, user):
        raise IdentityRefused(
            "provider_not_yours",
            "This identity provider may not sign you in here. Sign in with your password or passkey.",
        )


def _identity(provider: Provider, claims: Mapping[str, Any]) -> SocialAccount | None:
    rows = SocialAccount.objects.select_related("user")
    identity: SocialAccount | None = rows.filter(
        provider=provider.issuer, uid=claims["sub"]
    ).first()
    return identity


def _provision(provider: Provider, claims: Mapping[str, Any], at: datetime) -> User:
    rules = [rule for rule in provider.provision if rule.matches(claims)]
    tenants = {t.slug: t for t in Tenant.objects.filter(is_active=True)} if rules else {}
    if provider.tenant:
        tenants = {slug: tenant for slug, tenant in tenants.items() if slug == provider.tenant}
    rules = [rule for rule in rules if rule.tenant in tenants]
    is_invited = not provider.tenant and _is_invited(claims, at)
    if not rules and not is_invited:
        raise IdentityRefused(
            "identity_unknown",
            "This identity is not linked to an account. Sign in another way, and link it on your account page.",
        )
    email = claims.get("email")
    if claims.get("email_verified") is not True or not _is_address(email):
        raise IdentityRefused(
            "email_unverified", f"{provider.name} does not report your e-mail address as verified."
        )
    # A rule applies only if the mail domain is accepted for its tenant.
    rules = [r for r in rules if mail_domains.is_accepted(tenants[r.tenant], str(email))]
    if not rules and not is_invited:
        raise IdentityRefused(
            "mail_domain_not_accepted",
            f"Your mail domain is not accepted for {provider.name}. Ask your platform operator.",
        )
    if User.objects.filter(email__iexact=email).exists():
        raise IdentityRefused(
            "email_taken",
            "An account with this address exists. If it is yours, sign in another way, and link this identity on your"
            " account page.",
        )
    name = claims.get("name")
    actor = Actor.system(f"oidc:{provider.slug}")
    try:
        with transaction.atomic():
            user = create_user(
                email=str(email),
                password=None,
                full_name=name.replace("\x00", "")[:140] if isinstance(name, str) else "",
                verified_at=at,
            )
            _create_identity(user, provider, claims)
            for rule in rules:
                add_member(
                    tenant=tenants[rule.tenant], user=user, role=rule.role, actor=actor, at=at
                )
            _record("identity.provisioned", user, provider.issuer, at)
    except IntegrityError as error:  # the same user in two browser windows
        raise IdentityRefused("identity_unknown", "Start over, please.") from error
    return user


def _is_invited(claims: Mapping[str, Any], at: datetime) -> bool:
    """Whether a tenant has invited the address that a provider of the platform reports as verified. The user answers
    the invitation once they are signed in."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not _is_address(email):
        return False
    rows = InvitationAddress.objects.filter(digest=address_digest(str(email)), expires_at__gt=at)
    return rows.exists()


def _create_identity(user: User, provider: Provider, claims: Mapping[str, Any]) -> SocialAccount:
    identity = SocialAccount(user=user, provider=provider.issuer, uid=claims["sub"])
    identity.extra_data = {"label": _label_of(claims)}
    identity.save(force_insert=True)
    return identity


def _update_label(identity: SocialAccount, claims: Mapping[str, Any]) -> None:
    identity.extra_data = {"label": _label_of(claims) or identity.extra_data.get("label", "")}
    identity.save(update_fields=["extra_data", "last_login"])


def _label_of(claims: Mapping[str, Any]) -> str:
    """How the account page shows the identity: the only claim that is stored."""
    value = claims.get("email") or claims.get("preferred_username") or claims["sub"]
    return str(value).replace("\x00", "")[:MAX_LABEL_LENGTH]


def _is_address(text: object) -> bool:
    try:
        validate_email(text if isinstance(text, str) else None)
    except ValidationError:
        return False
    return True


def _record(action: str, user: User, issuer: str, at: datetime) -> None:
    record_platform(
        action=action,
        actor=Actor("user", str(user.id), user.label),
        entity=("user", user.id),
        at=at,
        detail={"issuer": issuer},
    )
