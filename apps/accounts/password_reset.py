"""Password reset: by mail, or by a link that the platform operator creates.

The request looks up no account: it queues a message for any address, and the worker decides whether to send it. So
neither the response nor its time reveals whether an account exists.
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
from apps.accounts.oidc.identities import may_vouch_for
from apps.accounts.passwords import replace_password
from apps.accounts.sessions import end_other_sessions
from apps.accounts.users import account_name, address_digest, may_be_taken_over, take_over
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.mail.models import Message
from apps.mail.services import queue_mail

MAIL_KIND = "accounts.password_reset"
LIFETIME = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
#: Mails per address and hour.
MAX_PER_HOUR = 3
MAX_ADDRESS_LENGTH = 254
BY_MAIL, BY_OPERATOR = "mail", "operator"


class _TokenGenerator(PasswordResetTokenGenerator):
    """Django's generator: the token becomes invalid when the password or the last login changes."""

    def __init__(self, channel: str) -> None:
        super().__init__()
        self.key_salt = f"accounts.reset.{channel}"


_GENERATORS = {channel: _TokenGenerator(channel) for channel in (BY_MAIL, BY_OPERATOR)}


def request_reset(*, address: str, at: datetime) -> None:
    """Queue a mail to this address. Anything but an address is dropped: it may be a password."""
    try:
        validate_email(address)
    except ValidationError:
        return
    if len(address) > MAX_ADDRESS_LENGTH:
        return
    recent = Message.objects.filter(kind=MAIL_KIND, created_at__gt=at - timedelta(hours=1))
    digest = _reference(address)
    if recent.filter(ref=digest).count() < MAX_PER_HOUR:
        queue_mail(kind=MAIL_KIND, address=address, ref=digest, at=at)


def recipient_of(message: Message, at: datetime) -> User | None:
    """The user of a queued reset; None when no account has the address, or the request has expired."""
    if at - message.created_at > LIFETIME:
        return None
    name = account_name(message.address)
    user = User.objects.filter(email__iexact=name, is_active=True).first()
    if user is None:
        return None
    # A user who signs in with an identity provider only has no password to reset.
    if not user.has_usable_password() and _has_provider(user):
        return None
    return user


def _has_provider(user: User) -> bool:
    """Whether a linked provider can still sign this user in."""
    issuers = set(SocialAccount.objects.filter(user=user).values_list("provider", flat=True))
    providers = [p for p in settings.ISPVM_OIDC_PROVIDERS if p.issuer in issuers]
    return any(may_vouch_for(provider, user) for provider in providers)


def password_reset_link(user: User, *, channel: str) -> str:
    """A link that sets this user's password once, within ``LIFETIME``."""
    key = f"{user.pk.hex}.{channel}.{_GENERATORS[channel].make_token(user)}"
    return f"{settings.ISPVM_PUBLIC_URL}{reverse('accounts:reset')}?key={key}"


def operator_link(*, user: User, actor: Actor, at: datetime) -> str:
    """A link for the platform operator to hand over after verifying the user's identity."""
    record_platform(action="password.reset_issued", actor=actor, entity=("user", user.pk), at=at)
    return password_reset_link(user, channel=BY_OPERATOR)


def find_reset(key: str) -> tuple[User, str]:
    """The user of a key, and the channel it was issued by. Raises ResetUnusable."""
    pk, _, rest = key.partition(".")
    channel, _, token = rest.partition(".")
    try:
        user = User.objects.filter(pk=UUID(pk), is_active=True).first()
    except ValueError:
        user = None
    if (
        user is None
        or channel not in _GENERATORS
        or not _GENERATORS[channel].check_token(user, token)
    ):
        raise ResetUnusable
    return user, channel


def reset_password(*, key: str, password: str, at: datetime) -> User:
    """Set the password and end all sessions; second factors are kept. Raises ResetUnusable; ValidationError for a weak
    password.

    Locks: the user. An account whose address was never verified is taken over by the owner of the address, unless it
    has more protection than a mailbox: then only the password is set, and the address stays unverified.
    """
    validate_password(password, find_reset(key)[0])
    with transaction.atomic():
        User.objects.select_for_update().only("pk").get(pk=find_reset(key)[0].pk)
        user, channel = find_reset(
            key
        )  # again under the lock: of two concurrent requests one succeeds
        if channel == BY_MAIL and may_be_taken_over(user):
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
            detail={"channel": channel},
        )
    return user


def _reference(address: str) -> UUID:
    """Identifies messages to one address without storing it."""
    return UUID(bytes=address_digest(address)[:16])
