"""A new password for somebody who has forgotten theirs: by mail, or by a link that the platform's operator makes.

The request looks nobody up: it queues a message for whatever address was typed, and the worker finds out whether there
is somebody to write to. So neither the answer nor its time tells who is here.
"""

from datetime import datetime, timedelta
from uuid import UUID

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse

from apps.accounts.errors import ResetUnusable
from apps.accounts.models import User
from apps.accounts.oidc.people import speaks_for
from apps.accounts.passwords import replace_password
from apps.accounts.people import account_name, address_digest, may_be_taken_over, take_over
from apps.accounts.sessions import end_other_sessions
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.mail.models import Message
from apps.mail.services import queue_mail

MAIL_KIND = "accounts.password_reset"
LIFETIME = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
#: So often is one address written to, whoever asks.
MOST_PER_HOUR = 3
LONGEST_ADDRESS = 254
BY_MAIL, BY_OPERATOR = "mail", "operator"


class _Tokens(PasswordResetTokenGenerator):
    """Django's: signed, of this person's present password and last sign-in, so used up when the password changes."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.key_salt = f"accounts.reset.{way}"


_TOKENS = {way: _Tokens(way) for way in (BY_MAIL, BY_OPERATOR)}


def request_reset(*, address: str, at: datetime) -> None:
    """Promise a mail to this address, if somebody here has it. What is no address is dropped: it may be a password."""
    try:
        validate_email(address)
    except ValidationError:
        return
    if len(address) > LONGEST_ADDRESS:
        return
    lately = Message.objects.filter(kind=MAIL_KIND, created_at__gt=at - timedelta(hours=1))
    digest = _reference(address)
    if lately.filter(ref=digest).count() < MOST_PER_HOUR:
        queue_mail(kind=MAIL_KIND, address=address, ref=digest, at=at)


def recipient_of(message: Message, at: datetime) -> User | None:
    """Who a queued reset is for; None when nobody has the address, or it is too late."""
    if at - message.created_at > LIFETIME:
        return None
    name = account_name(message.address)
    user = User.objects.filter(email__iexact=name, is_active=True).first()
    if user is None:
        return None
    # Who signs in by an identity provider alone has no password to forget.
    if not user.has_usable_password() and _has_provider(user):
        return None
    return user


def _has_provider(user: User) -> bool:
    """Whether a linked provider can still sign this person in: it is configured, and speaks for them today."""
    issuers = set(SocialAccount.objects.filter(user=user).values_list("provider", flat=True))
    providers = [p for p in settings.ISPVM_OIDC_PROVIDERS if p.issuer in issuers]
    return any(speaks_for(provider, user) for provider in providers)


def reset_link(user: User, *, way: str) -> str:
    """A link that sets this person's password once, soon."""
    key = f"{user.pk.hex}.{way}.{_TOKENS[way].make_token(user)}"
    return f"{settings.ISPVM_PUBLIC_URL}{reverse('accounts:reset')}?key={key}"


def operator_link(*, user: User, actor: Actor, at: datetime) -> str:
    """A link for the platform's operator to hand over, who has made sure whom they give it to."""
    record_platform(action="password.reset_issued", actor=actor, entity=("user", user.pk), at=at)
    return reset_link(user, way=BY_OPERATOR)


def find_reset(key: str) -> tuple[User, str]:
    """Whose password a key sets, and which way it came. Raises ResetUnusable."""
    pk, _, rest = key.partition(".")
    way, _, token = rest.partition(".")
    try:
        user = User.objects.filter(pk=UUID(pk), is_active=True).first()
    except ValueError:
        user = None
    if user is None or way not in _TOKENS or not _TOKENS[way].check_token(user, token):
        raise ResetUnusable
    return user, way


def reset_password(*, key: str, password: str, at: datetime) -> User:
    """Set the password; every session ends, second factors stay. Raises ResetUnusable; Django's ValidationError for a
    password that is too weak.

    Locks: the person. An account whose address was never proven is taken over by the owner of the address, unless
    more than a mailbox protects it: then this is a reset like any other, and proves no address.
    """
    validate_password(password, find_reset(key)[0])
    with transaction.atomic():
        User.objects.select_for_update().only("pk").get(pk=find_reset(key)[0].pk)
        user, way = find_reset(key)  # once more, behind the lock: of two clicks one wins
        if way == BY_MAIL and may_be_taken_over(user):
            take_over(user=user, password=password, at=at)
            return user
        actor = Actor("user", str(user.pk), user.label)
        replace_password(user=user, password=password, actor=actor, at=at)
        end_other_sessions(user=user, keep=None, actor=actor, at=at)
        record_platform(
            action="password.reset",
            actor=actor,
            entity=("user", user.pk),
            at=at,
            detail={"way": way},
        )
    return user


def _reference(address: str) -> UUID:
    """What messages to one address have in common, without naming it."""
    return UUID(bytes=address_digest(address)[:16])
