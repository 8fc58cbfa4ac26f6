"""Second factors: codes of an authenticator app, recovery codes, passkeys. allauth stores them, encrypted by the vault.

Each code is accepted once: the time step of the last one is stored in the database, not in the cache, so that a restart
does not allow a replay.
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

PENDING_SECRET = "totp_pending_secret"  # noqa: S105  (a session key)
#: The user whose secrets are encrypted or decrypted now: part of the associated data.
sealed_for: ContextVar[UUID | None] = ContextVar("sealed_for", default=None)


@dataclass(frozen=True)
class Factors:
    """A user's second factors."""

    app: Authenticator | None
    passkeys: list[Authenticator]
    recovery_left: int


@dataclass(frozen=True)
class PendingApp:
    """A secret for an authenticator app that is not confirmed yet: as text and as a QR code (a data: URL)."""

    secret: str
    qr_code: str


@contextmanager
def secrets_of(user: User) -> Iterator[None]:
    """Inside, secrets are encrypted and decrypted as this user's."""
    token = sealed_for.set(user.id)
    try:
        yield
    finally:
        sealed_for.reset(token)


def is_required(user: User) -> bool:
    """Whether this user must show a second factor after the password."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user=user, type__in=kinds).exists())


def factors_of(user: User) -> Factors:
    """A user's factors, for their own account page."""
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


def begin_app_setup(request: HttpRequest, user: User) -> PendingApp:
    """A new secret, or the one that this session already has pending. It is stored encrypted in the session."""
    with secrets_of(user):
        adapter = get_adapter()
        pending = request.session.get(PENDING_SECRET)
        secret = adapter.decrypt(pending) if pending else totp.generate_totp_secret()
        if not pending:
            request.session[PENDING_SECRET] = adapter.encrypt(secret)
        svg = adapter.build_totp_svg(adapter.build_totp_url(user, secret)).encode()
    return PendingApp(secret, f"data:image/svg+xml;base64,{b64encode(svg).decode()}")


def add_app(request: HttpRequest, user: User, code: str, *, at: datetime) -> None:
    """Activate the pending secret, confirmed by a code of the app. Raises CodeRefused."""
    pending = request.session.get(PENDING_SECRET)
    if not pending:
        raise CodeRefused
    with _locked(user):
        secret = get_adapter().decrypt(pending)
        counter = _counter_of(secret, code, at, after=-1)
        Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).delete()
        Authenticator.objects.create(
            user=user,
            type=Authenticator.Type.TOTP,
            data={"secret": get_adapter().encrypt(secret), "last_counter": counter},
        )
        record_factor(user, "second_factor.added", "totp", at)
    request.session.pop(PENDING_SECRET)


def verify_code(user: User, code: str, *, at: datetime) -> str:
    """Accept a code of the app or a recovery code, each once; returns which of the two it was.

    Raises CodeRefused. Locks: the factor.
    """
    with secrets_of(user), transaction.atomic():
        rows = Authenticator.objects.select_for_update().filter(user=user)
        if len(normalize_user_code(code)) == app_settings.RECOVERY_CODE_DIGITS:
            row = rows.filter(type=Authenticator.Type.RECOVERY_CODES).first()
            if row is None or not RecoveryCodes(row).validate_code(code):
                raise CodeRefused
            record_factor(user, "recovery_code.used", "recovery_codes", at)
            return "recovery_code"
        row = rows.filter(type=Authenticator.Type.TOTP).first()
        if row is None:
            raise CodeRefused
        secret = get_adapter().decrypt(row.data["secret"])
        row.data["last_counter"] = _counter_of(secret, code, at, after=row.data["last_counter"])
        row.last_used_at = at
        row.save(update_fields=["data", "last_used_at"])
        return "totp"


def create_recovery_codes(user: User, *, at: datetime) -> list[str]:
    """Replace the recovery codes. The new ones are shown once."""
    with _locked(user):
        Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).delete()
        codes: list[str] = RecoveryCodes.activate(user).generate_codes()
        record_factor(user, "recovery_codes.created", "recovery_codes", at)
    return codes


def remove(user: User, factor: Authenticator, *, at: datetime) -> None:
    """Remove a factor; with the last one the recovery codes are removed too. Raises FactorNeeded."""
    with _locked(user):
        kind = factor.type
        factor.delete()
        if not is_required(user):
            if must_keep_factor(user):
                raise FactorNeeded(
                    message="A second factor is required of you: add another one first."
                )
            Authenticator.objects.filter(user=user).delete()
        record_factor(user, "second_factor.removed", kind, at)


def remove_all(user: User, *, at: datetime) -> int:
    """Remove all factors of a user who lost them; returns the number of passkeys and apps removed."""
    with _locked(user):
        rows = Authenticator.objects.filter(user=user)
        count: int = rows.exclude(type=Authenticator.Type.RECOVERY_CODES).count()
        rows.delete()
        record_factor(user, "second_factor.reset", "all", at)
    return count


@contextmanager
def _locked(user: User) -> Iterator[None]:
    """Serializes changes of one user's factors by a lock on the user's row."""
    with secrets_of(user), transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        yield


def record_factor(user: User, action: str, kind: str, at: datetime) -> None:
    """Record a change of a user's factors in the platform's audit log."""
    record_platform(
        action=action,
        actor=Actor("user", str(user.id), user.label),
        entity=("user", user.id),
        at=at,
        detail={"kind": kind},
    )


def _counter_of(secret: str, code: str, at: datetime, *, after: int) -> int:
    """The time step of the app's code, which must be later than ``after``. Raises CodeRefused."""
    now = int(at.timestamp()) // app_settings.TOTP_PERIOD
    tolerance = app_settings.TOTP_TOLERANCE
    for counter in range(max(now - tolerance, after + 1), now + tolerance + 1):
        expected = totp.format_hotp_value(totp.hotp_value(secret, counter))
        if compare_user_code(actual=code, expected=expected):
            return counter
    raise CodeRefused
