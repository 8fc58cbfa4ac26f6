"""Access sessions: a platform operator's time-limited, audited access to one tenant. They create no standing access."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from apps.accounts.errors import StandingAccessRefused
from apps.accounts.models import BreakGlass
from apps.audit.models import Record
from apps.audit.services import record
from apps.authorization.actors import Actor

MIN_REASON_LENGTH = 10
MAX_REASON_LENGTH = 500
#: A reason of punctuation, digits and spaces alone, or of one repeated letter, is refused.
MIN_LETTERS = 5
MIN_DISTINCT_LETTERS = 3
#: Audit records shown per access session on its page.
MAX_RECORDS = 100


@dataclass(frozen=True)
class AccessSession:
    """An access session with its audit records, oldest first; ``has_more``: the list was cut."""

    row: BreakGlass
    records: Sequence[Record]
    has_more: bool


def refuse_in_access_session(actor: Actor) -> None:
    """For services that create standing access: agents and their tokens, assignments, API tokens, members,
    credential sets, webhook endpoints. Raises StandingAccessRefused."""
    if actor.access_session:
        raise StandingAccessRefused(
            message=_(
                "Nothing was changed: platform operators cannot create anything that keeps access after their "
                "access session ends. Ask an admin of the tenant to do this."
            )
        )


def clean_reason(text: str) -> str | None:
    """The reason as the tenant reads it; None when it is too short, too long or not readable."""
    reason = " ".join(text.split())
    letters = [letter for letter in reason.casefold() if letter.isalpha()]
    is_long_enough = MIN_REASON_LENGTH <= len(reason) <= MAX_REASON_LENGTH
    has_words = len(letters) >= MIN_LETTERS and len(set(letters)) >= MIN_DISTINCT_LETTERS
    is_text = all(letter.isprintable() for letter in reason)
    return reason if is_long_enough and has_words and is_text else None


def records_of(session: BreakGlass) -> QuerySet[Record]:
    """Audit records of an access session of the current tenant, oldest first."""
    ended = session.closed_at or session.expires_at
    during = Record.objects.filter(at__gte=session.opened_at, at__lte=ended)
    # Matches the partial index audit_record_session_idx: ``has_key`` is its condition.
    rows = during.filter(actor__has_key="access_session").alias(
        access_session_id=KT("actor__access_session")
    )
    return rows.filter(access_session_id=str(session.pk)).order_by("sequence")


def end_expired_access_session(*, session_id: str, at: datetime) -> bool:
    """Close an expired access session and record a summary of it in the tenant's audit log.

    Idempotent. Returns False while the session has not expired.
    """
    row = BreakGlass.objects.filter(pk=session_id).first()
    if row is None or row.closed_at is not None:
        return True
    if row.expires_at > at:
        return False
    if BreakGlass.objects.filter(pk=row.pk, closed_at=None).update(closed_at=row.expires_at):
        row.closed_at = row.expires_at
        record(
            action="platform.access_session_expired",
            actor=Actor.system("accounts"),
            entity=("tenant", row.tenant_id),
            at=at,
            detail=summary_of(row),
        )
    return True


def summary_of(session: BreakGlass) -> dict[str, object]:
    """Number of audit records per action, for the record of the session's end."""
    counts: dict[str, int] = {}
    for action in records_of(session).values_list("action", flat=True):
        counts[action] = counts.get(action, 0) + 1
    return {"access_session": str(session.pk), "actions": dict(sorted(counts.items()))}


def access_sessions_with_records(rows: Sequence[BreakGlass]) -> list[AccessSession]:
    """These access sessions, each with its first audit records. One query, whatever their number."""
    if not rows:
        return []
    by_session: dict[str, list[Record]] = {str(row.pk): [] for row in rows}
    # One limit per session: a common limit would be used up by a session with many records.
    first, *others = [records_of(row)[: MAX_RECORDS + 1] for row in rows]
    for entry in first.union(*others, all=True) if others else first:
        by_session[entry.actor["access_session"]].append(entry)
    return [_access_session(row, by_session[str(row.pk)]) for row in rows]


def _access_session(row: BreakGlass, records: list[Record]) -> AccessSession:
    records.sort(key=lambda entry: entry.sequence)
    return AccessSession(row, records[:MAX_RECORDS], has_more=len(records) > MAX_RECORDS)
