"""Second factors: codes of an authenticator app, recovery codes, passkeys. allauth keeps them, sealed by the vault.

Each code opens once. The database remembers which was the last, so that neither a restart nor an emptied cache lets
one in again.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from allauth.core.internal.cryptokit import compare_user_code, normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.db import transaction
from django.http import HttpRequest

from apps.accounts.errors import CodeRefused, FactorNeeded
from apps.accounts.factor_policy import must_keep_factor
from apps.accounts.models import User
from apps.audit.services import record_platform
from apps.authorization.actors import Actor

OFFERED = "totp_offered"
#: Whose secret is sealed or opened now: it opens for nobody else.
sealed_for: ContextVar[UUID | None] = ContextVar("sealed_for", default=None)


@dataclass(frozen=True)
class Factors:
    """What a person has beside the password."""

    app: Authenticator | None
    passkeys: list[Authenticator]
    recovery_left: int


@dataclass(frozen=True)
class Offer:
    """A secret for an authenticator app, not yet in force: as text and as a picture (a data: URL)."""

    secret: str
    picture: str


@contextmanager
def secrets_of(user: User) -> Iterator[None]:
    """Inside, secrets are sealed and opened as this person's."""
    token = sealed_for.set(user.id)
    try:
        yield
    finally:
        sealed_for.reset(token)


def is_owed(user: User) -> bool:
    """Whether a password alone does not open this person's session."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user=user, type__in=kinds).exists())


def factors_of(user: User) -> Factors:
    """What a person has, for their own eyes."""
    rows = list(Authenticator.objects.filter(user=user).order_by("created_at", "pk"))
    of_kind = {kind: [r for r in rows if r.type == kind] for kind in Authenticator.Type}
    recovery = of_kind[Authenticator.Type.RECOVERY_CODES]
    used = recovery[0].data["used_mask"].bit_count() if recovery else 0
    apps = of_kind[Authenticator.Type.TOTP]
    return Factors(
        app=apps[0] if apps else None,
        passkeys=of_kind[Authenticator.Type.WEBAUTHN],
        recovery_left=app_settings.RECOVERY_CODE_COUNT - used if recovery else 0,
    )


def offer_app(request: HttpRequest, user: User) -> Offer:
    """A new secret, or the one offered in this session a moment ago. It waits sealed in the session."""
    with secrets_of(user):
        adapter = get_adapter()
        waiting = request.session.get(OFFERED)
        secret = adapter.decrypt(waiting) if waiting else totp.generate_totp_secret()
        if not waiting:
            request.session[OFFERED] = adapter.encrypt(secret)
        picture = adapter.build_totp_svg(adapter.build_totp_url(user, secret)).encode()
    return Offer(secret, f"data:image/svg+xml;base64,{b64encode(picture).decode()}")


def add_app(request: HttpRequest, user: User, code: str, *, at: datetime) -> None:
    """Put the offered secret in force, once the app has shown a right code. Raises CodeRefused."""
    waiting = request.session.get(OFFERED)
    if not waiting:
        raise CodeRefused
    with _changing(user):
        secret = get_adapter().decrypt(waiting)
        counter = _counter_of(secret, code, at, after=-1)
        Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).delete()
        Authenticator.objects.create(
            user=user,
            type=Authenticator.Type.TOTP,
            data={"secret": get_adapter().encrypt(secret), "last_counter": counter},
        )
        note(user, "second_factor.added", "totp", at)
    request.session.pop(OFFERED)


def spend_code(user: User, code: str, *, at: datetime) -> str:
    """Take a code of the app or a recovery code, which is then used up; returns which it was.

    Raises CodeRefused. Locks: the factor.
    """
    with secrets_of(user), transaction.atomic():
        rows = Authenticator.objects.select_for_update().filter(user=user)
        if len(normalize_user_code(code)) == app_settings.RECOVERY_CODE_DIGITS:
            row = rows.filter(type=Authenticator.Type.RECOVERY_CODES).first()
            if row is None or not RecoveryCodes(row).validate_code(code):
                raise CodeRefused
            note(user, "recovery_code.used", "recovery_codes", at)
            return "recovery_code"
        row = rows.filter(type=Authenticator.Type.TOTP).first()
        if row is None:
            raise CodeRefused
        secret = get_adapter().decrypt(row.data["secret"])
        row.data["last_counter"] = _counter_of(secret, code, at, after=row.data["last_counter"])
        row.last_used_at = at
        row.save(update_fields=["data", "last_used_at"])
        return "totp"


def make_recovery_codes(user: User, *, at: datetime) -> list[str]:
    """New recovery codes; the old ones end. Shown to the person once."""
    with _changing(user):
        Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).delete()
        codes: list[str] = RecoveryCodes.activate(user).generate_codes()
        note(user, "recovery_codes.made", "recovery_codes", at)
    return codes


def remove(user: User, factor: Authenticator, *, at: datetime) -> None:
    """Take a factor away; with the last one the recovery codes go too. Raises FactorNeeded."""
    with _changing(user):
        kind = factor.type
        factor.delete()
        if not is_owed(user):
            if must_keep_factor(user):
                raise FactorNeeded(
                    message="A second factor is required of you: add another one first."
                )
            Authenticator.objects.filter(user=user).delete()
        note(user, "second_factor.removed", kind, at)


def remove_all(user: User, *, at: datetime) -> int:
    """Take all of a person's factors away, who lost them all; returns how many passkeys and apps they had."""
    with _changing(user):
        rows = Authenticator.objects.filter(user=user)
        count: int = rows.exclude(type=Authenticator.Type.RECOVERY_CODES).count()
        rows.delete()
        note(user, "second_factor.reset", "all", at)
    return count


@contextmanager
def _changing(user: User) -> Iterator[None]:
    """Two windows of one person change their factors one after the other."""
    with secrets_of(user), transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        yield


def note(user: User, action: str, kind: str, at: datetime) -> None:
    """Put a change of a person's factors on the platform's record."""
    record_platform(
        action=action,
        actor=Actor("user", str(user.id), user.label),
        entity=("user", user.id),
        at=at,
        detail={"kind": kind},
    )


def _counter_of(secret: str, code: str, at: datetime, *, after: int) -> int:
    """Which of the app's time steps the code is of: one later than ``after``. Raises CodeRefused."""
    now = int(at.timestamp()) // app_settings.TOTP_PERIOD
    tolerance = app_settings.TOTP_TOLERANCE
    for counter in range(max(now - tolerance, after + 1), now + tolerance + 1):
        expected = totp.format_hotp_value(totp.hotp_value(secret, counter))
        if compare_user_code(actual=code, expected=expected):
            return counter
    raise CodeRefused
