"""Whose an identity is: known by issuer and subject, linked by its person, or made a member by the operator's rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from apps.accounts import mail_domains
from apps.accounts.errors import IdentityRefused, IdentityTaken, LastWayIn
from apps.accounts.models import InvitationAddress, Membership, User
from apps.accounts.oidc.config import Provider
from apps.accounts.people import address_digest
from apps.accounts.selectors import is_platform_operator
from apps.accounts.services import add_member, create_user
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.tenancy.models import Tenant

LONGEST_LABEL = 200


def person_of(provider: Provider, claims: Mapping[str, Any], *, at: datetime) -> User:
    """Who signs in. Raises IdentityRefused for an identity that nobody linked and no rule lets in.

    An e-mail address finds nobody: whoever can make a provider say an address would be that person.
    """
    known = _identity(provider, claims)
    if known is not None:
        user: User = known.user
        if not user.is_active:
            raise IdentityRefused
        require_speaks_for(provider, user)
        _label(known, claims)
        return user
    return _provision(provider, claims, at)


def link(user: User, provider: Provider, claims: Mapping[str, Any], *, at: datetime) -> None:
    """Let this identity sign this person in from now on. Raises IdentityTaken, IdentityRefused. Idempotent for their
    own."""
    require_speaks_for(provider, user)
    known = _identity(provider, claims)
    if known is None:
        try:
            with transaction.atomic():
                known = _make(user, provider, claims)
        except IntegrityError:  # somebody was quicker
            known = _identity(provider, claims)
        else:
            _note("identity.linked", user, provider.issuer, at)
    if known is None or known.user_id != user.pk:
        raise IdentityTaken(message="This identity signs in somebody else here.")


def unlink(user: User, identity: SocialAccount, *, at: datetime) -> None:
    """Take an identity away. Raises LastWayIn."""
    others = SocialAccount.objects.filter(user=user).exclude(pk=identity.pk)
    if not user.has_usable_password() and not others.exists():
        raise LastWayIn(message="You would not be able to sign in any more: set a password first.")
    issuer = identity.provider
    identity.delete()
    _note("identity.unlinked", user, issuer, at)


def identities_of(user: User) -> list[SocialAccount]:
    """A person's identities, for their own eyes."""
    return list(SocialAccount.objects.filter(user=user).order_by("pk"))


def is_of(user: User, provider: Provider, claims: Mapping[str, Any]) -> bool:
    """Whether this identity is this person's, and the provider may speak for them."""
    known = _identity(provider, claims)
    return known is not None and known.user_id == user.pk and speaks_for(provider, user)


def speaks_for(provider: Provider, user: User) -> bool:
    """Whether this provider may say who this person is. The platform's own may for everybody.

    A tenant's may for people of that tenant and of no other, whose address is of a mail domain accepted for it; never
    for platform operators. Whoever runs it could say to be any of them.
    """
    if not provider.tenant:
        return True
    tenants = [row.tenant for row in Membership.objects.filter(user=user).select_related("tenant")]
    if [tenant.slug for tenant in tenants] != [provider.tenant] or not tenants[0].is_active:
        return False
    return mail_domains.is_accepted(tenants[0], user.email) and not is_platform_operator(user)


def require_speaks_for(provider: Provider, user: User) -> None:
    """Raises IdentityRefused unless the provider may say who this person is."""
    if not speaks_for(provider, user):
        raise IdentityRefused(
            "provider_not_yours",
            "This identity provider does not speak for you here. Sign in with your password or passkey.",
        )


def _identity(provider: Provider, claims: Mapping[str, Any]) -> SocialAccount | None:
    rows = SocialAccount.objects.select_related("user")
    found: SocialAccount | None = rows.filter(provider=provider.issuer, uid=claims["sub"]).first()
    return found


def _provision(provider: Provider, claims: Mapping[str, Any], at: datetime) -> User:
    rules = [rule for rule in provider.provision if rule.holds_for(claims)]
    tenants = {t.slug: t for t in Tenant.objects.filter(is_active=True)} if rules else {}
    if provider.tenant:
        tenants = {slug: tenant for slug, tenant in tenants.items() if slug == provider.tenant}
    rules = [rule for rule in rules if rule.tenant in tenants]
    is_invited = not provider.tenant and _is_invited(claims, at)
    if not rules and not is_invited:
        raise IdentityRefused(
            "identity_unknown",
            "Nobody here signs in with this identity. Sign in as you are used to,"
            " and link it on your account page.",
        )
    email = claims.get("email")
    if claims.get("email_verified") is not True or not _is_address(email):
        raise IdentityRefused(
            "email_unverified", f"{provider.name} does not vouch for your e-mail address."
        )
    # A rule counts where the platform has accepted the domain as that tenant's: no tenant makes another's people.
    rules = [r for r in rules if mail_domains.is_accepted(tenants[r.tenant], str(email))]
    if not rules and not is_invited:
        raise IdentityRefused(
            "mail_domain_not_accepted",
            f"{provider.name} may not speak for your mail domain here. Ask your platform operator.",
        )
    if User.objects.filter(email__iexact=email).exists():
        raise IdentityRefused(
            "email_taken",
            "Somebody with this address is here already. If it is you, sign in as you are used to,"
            " and link it on your account page.",
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
            _make(user, provider, claims)
            for rule in rules:
                add_member(
                    tenant=tenants[rule.tenant], user=user, role=rule.role, actor=actor, at=at
                )
            _note("identity.provisioned", user, provider.issuer, at)
    except IntegrityError as error:  # the same person in two windows
        raise IdentityRefused("identity_unknown", "Begin again, please.") from error
    return user


def _is_invited(claims: Mapping[str, Any], at: datetime) -> bool:
    """Whether a tenant has invited the address that the platform's own provider vouches for: it proves the address,
    and the person answers the invitation once they are signed in."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not _is_address(email):
        return False
    rows = InvitationAddress.objects.filter(digest=address_digest(str(email)), expires_at__gt=at)
    return rows.exists()


def _make(user: User, provider: Provider, claims: Mapping[str, Any]) -> SocialAccount:
    made = SocialAccount(user=user, provider=provider.issuer, uid=claims["sub"])
    made.extra_data = {"label": _label_of(claims)}
    made.save(force_insert=True)
    return made


def _label(known: SocialAccount, claims: Mapping[str, Any]) -> None:
    known.extra_data = {"label": _label_of(claims) or known.extra_data.get("label", "")}
    known.save(update_fields=["extra_data", "last_login"])


def _label_of(claims: Mapping[str, Any]) -> str:
    """What the person recognises it by; of all that the provider tells, only this is kept."""
    said = claims.get("email") or claims.get("preferred_username") or claims["sub"]
    return str(said).replace("\x00", "")[:LONGEST_LABEL]


def _is_address(text: object) -> bool:
    try:
        validate_email(text if isinstance(text, str) else None)
    except ValidationError:
        return False
    return True


def _note(action: str, user: User, issuer: str, at: datetime) -> None:
    record_platform(
        action=action,
        actor=Actor("user", str(user.id), user.label),
        entity=("user", user.id),
        at=at,
        detail={"issuer": issuer},
    )
