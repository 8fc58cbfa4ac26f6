"""What a platform operator's visit to a tenant may leave behind: nothing that gives access after its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from apps.accounts.errors import VisitLeavesNothing
from apps.accounts.models import BreakGlass
from apps.audit.models import Record
from apps.audit.services import record
from apps.authorization.actors import Actor

SHORTEST_REASON = 10
LONGEST_REASON = 500
#: A reason is read by people: dots, digits and blanks say nothing.
LEAST_LETTERS = 5
LEAST_DIFFERENT_LETTERS = 3
#: Shown of one visit on the page of visits.
MOST_ACTS = 100


@dataclass(frozen=True)
class Visit:
    """A visit with what was done in it, oldest first; ``has_more``: only the first of it."""

    row: BreakGlass
    acts: Sequence[Record]
    has_more: bool


def refuse_in_visit(actor: Actor) -> None:
    """For services that create standing access: agents and their tokens, assignments, API tokens, members,
    credential sets, webhook endpoints. Raises VisitLeavesNothing."""
    if actor.visit:
        raise VisitLeavesNothing(
            message=_(
                "Nothing was changed: a platform operator's visit creates nothing that gives access after its end. "
                "Ask an admin of the tenant to do this."
            )
        )


def clean_reason(text: str) -> str | None:
    """The reason as the tenant reads it; None when it says nothing."""
    reason = " ".join(text.split())
    letters = [letter for letter in reason.casefold() if letter.isalpha()]
    is_long_enough = SHORTEST_REASON <= len(reason) <= LONGEST_REASON
    says_something = len(letters) >= LEAST_LETTERS and len(set(letters)) >= LEAST_DIFFERENT_LETTERS
    is_text = all(letter.isprintable() for letter in reason)
    return reason if is_long_enough and says_something and is_text else None


def acts_of(visit: BreakGlass) -> QuerySet[Record]:
    """What was done in a visit of the current tenant, oldest first."""
    ended = visit.closed_at or visit.expires_at
    within = Record.objects.filter(at__gte=visit.opened_at, at__lte=ended)
    # Written as the index audit_record_visit_idx is: ``has_key`` is its condition.
    in_visits = within.filter(actor__has_key="visit").alias(visit_id=KT("actor__visit"))
    return in_visits.filter(visit_id=str(visit.pk)).order_by("sequence")


def end_expired_visit(*, visit_id: str, at: datetime) -> bool:
    """Close a visit whose time is over and list to the tenant what was done in it. Idempotent; False: not yet over."""
    row = BreakGlass.objects.filter(pk=visit_id).first()
    if row is None or row.closed_at is not None:
        return True
    if row.expires_at > at:
        return False
    if BreakGlass.objects.filter(pk=row.pk, closed_at=None).update(closed_at=row.expires_at):
        row.closed_at = row.expires_at
        record(
            action="platform.visit_expired",
            actor=Actor.system("accounts"),
            entity=("tenant", row.tenant_id),
            at=at,
            detail=summary_of(row),
        )
    return True


def summary_of(visit: BreakGlass) -> dict[str, object]:
    """A visit's acts by name and number, for the record of its end."""
    counts: dict[str, int] = {}
    for action in acts_of(visit).values_list("action", flat=True):
        counts[action] = counts.get(action, 0) + 1
    return {"visit": str(visit.pk), "acts": dict(sorted(counts.items()))}


def visits_with_acts(rows: Sequence[BreakGlass]) -> list[Visit]:
    """These visits, each with the first of its acts. One query, whatever their number."""
    if not rows:
        return []
    found: dict[str, list[Record]] = {str(row.pk): [] for row in rows}
    # A limit for each visit: one for all would leave nothing of the visits after a busy one.
    first, *others = [acts_of(row)[: MOST_ACTS + 1] for row in rows]
    for act in first.union(*others, all=True) if others else first:
        found[act.actor["visit"]].append(act)
    return [_visit(row, found[str(row.pk)]) for row in rows]


def _visit(row: BreakGlass, acts: list[Record]) -> Visit:
    acts.sort(key=lambda act: act.sequence)
    return Visit(row, acts[:MOST_ACTS], has_more=len(acts) > MOST_ACTS)
