"""Open sessions: listed for their person, ended by them or by an admin, kept current."""

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

SEEN_EVERY_SECONDS = 60
#: Each sign-in clears away more than it and its attempts leave.
ENDED_AT_ONCE = 200
# Browsers name each other, too: the first in this order that is named is it.
_BROWSERS = (
    *("EdgA", "Edg", "OPR", "FxiOS", "Firefox", "CriOS", "Chrome", "Safari"),
    *("curl", "python-requests"),
)
_NAMES = {"EdgA": "Edge", "Edg": "Edge", "OPR": "Opera", "FxiOS": "Firefox", "CriOS": "Chrome"}
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "CrOS", "Linux")
_BROWSER = re.compile(rf"({'|'.join(_BROWSERS)})/")


def address_of(request: HttpRequest) -> str:
    """Where a request comes from, as far as it fits the record."""
    return caller_address(request)[:64]


def device_of(user_agent: str) -> str:
    """A browser's name for people: "Firefox, Linux". What it says of itself, so no proof of anything."""
    named = {found[1] for found in _BROWSER.finditer(user_agent[:500])}
    browser = next((name for name in _BROWSERS if name in named), "")
    system = next((name for name in _SYSTEMS if name in user_agent[:500]), "")
    parts = [_NAMES.get(browser, browser), system]
    return ", ".join(filter(None, parts)) or "?"


def open_session(request: HttpRequest, user: User, *, method: str, at: datetime) -> OpenSession:
    """List the session that was just opened in this request, and clear away some that ended by themselves."""
    ended = Session.objects.filter(expire_date__lt=at).values_list("pk", flat=True)
    Session.objects.filter(pk__in=list(ended[:ENDED_AT_ONCE])).delete()
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


def note_seen(request: HttpRequest, tenant_id: UUID, at: datetime) -> None:
    """Keep "last seen" exact to a minute. Costs nothing in between; a cache that is away is no trouble."""
    key = str(row_key(request.session))
    try:
        is_due = cache.add(f"seen:{key}:{tenant_id}", 1, SEEN_EVERY_SECONDS)
    except (RedisError, OSError):
        return
    if is_due:
        OpenSession.objects.filter(session_id=key).update(
            last_seen_at=at, tenant_id=tenant_id, address=address_of(request)
        )


def sessions_of(
    user: User, at: datetime, *, tenant_id: UUID | None = None
) -> QuerySet[OpenSession]:
    """This person's sessions that are still good (in one tenant, or in all), the last seen first."""
    rows = OpenSession.objects.filter(user=user, session__expire_date__gt=at)
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    return rows.order_by("-last_seen_at", "id")


def end_session(*, opened: OpenSession, actor: Actor, at: datetime) -> None:
    """End one at once: its next request is a stranger's."""
    _end(OpenSession.objects.filter(pk=opened.pk))
    _note(opened.user_id, actor, at, 1)


def end_other_sessions(
    *, user: User, keep: str | None, actor: Actor, at: datetime, tenant_id: UUID | None = None
) -> int:
    """End all of a person's sessions (in one tenant, or in all) but the one of this row; returns how many."""
    rows = OpenSession.objects.filter(user=user).exclude(session_id=keep or "")
    count = _end(rows if tenant_id is None else rows.filter(tenant_id=tenant_id))
    if count:
        _note(user.id, actor, at, count)
    return count


def end_sessions_of_member(*, member: Membership, access: Access, at: datetime) -> int:
    """End what a member has open in this tenant; what acts in another tenant is not ours to end."""
    # Only by the tenant of the session: whether the person belongs elsewhere must not be seen in what ends.
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
    """Set a password that was validated; every other session of the person ends with the old one."""
    opened = OpenSession.objects.filter(session_id=row_key(request.session)).first()
    actor = Actor("user", str(user.id), user.label)
    replace_password(user=user, password=password, actor=actor, at=at)
    auth.update_session_auth_hash(request, user)
    open_session(request, user, method=opened.method if opened else "password", at=at)
    end_other_sessions(user=user, keep=row_key(request.session), actor=actor, at=at)
    record_platform(action="password.changed", actor=actor, entity=("user", user.id), at=at)


def _end(rows: QuerySet[OpenSession]) -> int:
    keys = list(rows.values_list("session_id", flat=True))
    # The list goes with the sessions.
    Session.objects.filter(pk__in=keys).delete()
    return len(keys)


def _note(user_id: UUID, actor: Actor, at: datetime, count: int) -> None:
    record_platform(
        action="session.ended",
        actor=actor,
        entity=("user", user_id),
        at=at,
        detail={"count": count},
    )
