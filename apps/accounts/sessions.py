"""Open sessions: listing, ending and updating them."""

import re
from datetime import datetime
from uuid import UUID

import structlog
from django.contrib import auth
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest
from redis.exceptions import RedisError

from apps.accounts.attempts import caller_address
from apps.accounts.models import Membership, OpenSession, User
from apps.accounts.passwords import replace_password
from apps.accounts.session_store import row_key
from apps.accounts.session_tenant import session_tenant_id
from apps.audit.services import record, record_platform
from apps.authorization.access import Access
from apps.authorization.actors import Actor

log = structlog.get_logger(__name__)

LAST_SEEN_INTERVAL_SECONDS = 60
#: Expired sessions deleted per sign-in.
CLEANUP_BATCH = 200
# User agents name other browsers too: the first of this list that occurs is the browser.
_BROWSERS = (
    *("EdgA", "Edg", "OPR", "FxiOS", "Firefox", "CriOS", "Chrome", "Safari"),
    *("curl", "python-requests"),
)
_BROWSER_NAMES = {
    "EdgA": "Edge",
    "Edg": "Edge",
    "OPR": "Opera",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
}
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "CrOS", "Linux")
_BROWSER = re.compile(rf"({'|'.join(_BROWSERS)})/")


def address_of(request: HttpRequest) -> str:
    """The client address, cut to the column's length."""
    return caller_address(request)[:64]


def device_of(user_agent: str) -> str:
    """A browser's display name from its user agent, like "Firefox, Linux". Not a security check."""
    browsers = {match[1] for match in _BROWSER.finditer(user_agent[:500])}
    browser = next((name for name in _BROWSERS if name in browsers), "")
    system = next((name for name in _SYSTEMS if name in user_agent[:500]), "")
    parts = [_BROWSER_NAMES.get(browser, browser), system]
    return ", ".join(filter(None, parts)) or "?"


def open_session(request: HttpRequest, user: User, *, method: str, at: datetime) -> OpenSession:
    """Create the row of the session that this request opened, and delete some expired sessions."""
    expired = Session.objects.filter(expire_date__lt=at).values_list("pk", flat=True)
    Session.objects.filter(pk__in=list(expired[:CLEANUP_BATCH])).delete()
    key = row_key(request.session)
    if key is None or not Session.objects.filter(pk=key).exists():
        request.session.save()
    return OpenSession.objects.create(
        session_id=str(row_key(request.session)),
        user=user,
        tenant_id=session_tenant_id(request.session, user),
        method=method[:60],
        device=device_of(request.headers.get("User-Agent", "")),
        address=address_of(request),
        opened_at=at,
        last_seen_at=at,
    )


def update_last_seen(request: HttpRequest, tenant_id: UUID, at: datetime) -> None:
    """Update the "last seen" time, at most once a minute; skipped while the cache is unavailable."""
    key = str(row_key(request.session))
    try:
        is_due = cache.add(f"seen:{key}:{tenant_id}", 1, LAST_SEEN_INTERVAL_SECONDS)
    except (RedisError, OSError):
        return
    if is_due:
        OpenSession.objects.filter(session_id=key).update(
            last_seen_at=at, tenant_id=tenant_id, address=address_of(request)
        )


def sessions_of(
    user: User, at: datetime, *, tenant_id: UUID | None = None
) -> QuerySet[OpenSession]:
    """This user's unexpired sessions (in one tenant, or in all), most recently seen first."""
    rows = OpenSession.objects.filter(user=user, session__expire_date__gt=at)
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    return rows.order_by("-last_seen_at", "id")


def end_session(*, session: OpenSession, actor: Actor, at: datetime) -> None:
    """End a session; its next request is not signed in."""
    _end(OpenSession.objects.filter(pk=session.pk))
    _record(session.user_id, actor, at, 1)


def end_other_sessions(
    *, user: User, keep: str | None, actor: Actor, at: datetime, tenant_id: UUID | None = None
) -> int:
    """End a user's sessions (in one tenant, or in all) except ``keep``; returns how many."""
    rows = OpenSession.objects.filter(user=user).exclude(session_id=keep or "")
    count = _end(rows if tenant_id is None else rows.filter(tenant_id=tenant_id))
    if count:
        _record(user.id, actor, at, count)
    return count


def end_sessions_of_member(*, member: Membership, access: Access, at: datetime) -> int:
    """End a member's sessions in this tenant; sessions in other tenants are not affected."""
    # By the session's tenant only: the result must not reveal memberships elsewhere.
    count = _end(OpenSession.objects.filter(user_id=member.user_id, tenant_id=member.tenant_id))
    record(
        action="member.sessions_ended",
        actor=access.actor,
        entity=("user", member.user_id),
        at=at,
        detail={"count": count},
    )
    return count


def change_password(request: HttpRequest, user: User, password: str, *, at: datetime) -> None:
    """Set a validated password and end all other sessions of the user."""
    session = OpenSession.objects.filter(session_id=row_key(request.session)).first()
    actor = Actor("user", str(user.id), user.label)
    replace_password(user=user, password=password, actor=actor, at=at)
    auth.update_session_auth_hash(request, user)
    open_session(request, user, method=session.method if session else "password", at=at)
    end_other_sessions(user=user, keep=row_key(request.session), actor=actor, at=at)
    record_platform(action="password.changed", actor=actor, entity=("user", user.id), at=at)


def _end(rows: QuerySet[OpenSession]) -> int:
    keys = list(rows.values_list("session_id", flat=True))
    # OpenSession rows are deleted by the cascade.
    Session.objects.filter(pk__in=keys).delete()
    return len(keys)


def _record(user_id: UUID, actor: Actor, at: datetime, count: int) -> None:
    record_platform(
        action="session.ended",
        actor=actor,
        entity=("user", user_id),
        at=at,
        detail={"count": count},
    )
