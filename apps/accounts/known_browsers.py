"""Known browsers: those in which a user has signed in before, until the password or a second factor changes.

The cookie is a random key; the row stores its SHA-256. Attempts from a known browser are counted separately, so that
failed attempts of others cannot lock the user out; its limit is not higher than that of an unknown browser.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

from apps.accounts.models import KnownBrowser, User

COOKIE = "ispvm_known"
LIFETIME = timedelta(days=180)
MAX_BROWSERS = 10
_SALT = "accounts.known-browser"


def known_browser(request: HttpRequest, *, email: str, at: datetime) -> KnownBrowser | None:
    """The requesting browser's row, if the user with this address (or, without one, any user) signed in with it."""
    token = request.COOKIES.get(COOKIE, "")
    if not token:
        return None
    rows = KnownBrowser.objects.filter(
        digest=_digest(token), last_used_at__gt=at - LIFETIME, user__is_active=True
    )
    if email:
        rows = rows.filter(user__email__iexact=email)
    row = rows.select_related("user").order_by("-last_used_at").first()
    if row is None or not constant_time_compare(row.binding, _binding_of(row.user)):
        return None
    return row


def known_account(request: HttpRequest, *, address: str, at: datetime) -> str:
    """The login name of the account with this address that this browser was last used for; empty: none."""
    token = request.COOKIES.get(COOKIE, "")
    if not token or not address:
        return ""
    rows = KnownBrowser.objects.filter(
        Q(user__email__iexact=address) | Q(user__email__iendswith=f":{address}"),
        digest=_digest(token),
        last_used_at__gt=at - LIFETIME,
        user__is_active=True,
    )
    row = rows.select_related("user").order_by("-last_used_at").first()
    return row.user.email if row else ""


def has_signed_in_from(*, email: str, network: str, at: datetime) -> bool:
    """Whether the user with this address has signed in from this network before."""
    rows = KnownBrowser.objects.filter(user__email__iexact=email, network=network)
    return rows.filter(last_used_at__gt=at - LIFETIME).exists()


def remember_browser(request: HttpRequest, user: User, *, network: str, at: datetime) -> str:
    """Remember the requesting browser; returns the cookie's value. Deletes the oldest rows beyond ``MAX_BROWSERS``.

    Locks: the user. The key changes at each sign-in, so that a cookie planted in another browser becomes useless.
    """
    token, old = token_urlsafe(32), request.COOKIES.get(COOKIE, "")
    with transaction.atomic():
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        if old:
            # Other users of this browser keep their rows.
            KnownBrowser.objects.filter(digest=_digest(old)).update(digest=_digest(token))
        values = {"binding": _binding_of(user), "network": network[:64], "last_used_at": at}
        KnownBrowser.objects.update_or_create(
            user=user, digest=_digest(token), defaults=values, create_defaults=values
        )
        newest = KnownBrowser.objects.filter(user=user).order_by("-last_used_at", "-pk")
        recent = newest.filter(last_used_at__gt=at - LIFETIME).values_list("pk", flat=True)
        KnownBrowser.objects.filter(user=user).exclude(pk__in=list(recent[:MAX_BROWSERS])).delete()
    return token


def _binding_of(user: User) -> str:
    # Imported here: ingest loads this module without allauth.
    from allauth.mfa.models import Authenticator

    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    factors = Authenticator.objects.filter(user=user, type__in=kinds).order_by("pk")
    parts = [user.password, *(str(pk) for pk in factors.values_list("pk", flat=True))]
    return salted_hmac(_SALT, "|".join(parts), algorithm="sha256").hexdigest()


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
