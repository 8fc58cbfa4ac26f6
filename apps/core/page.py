"""What every page says alike: how a state looks, how long something lasts, which part of a list is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

PAGE_SIZE = 50
LAST_PAGE = 10_000


@dataclass(frozen=True)
class State:
    """A state as the screen says it: its own colour, icon and word."""

    look: str
    icon: str
    word: str | Promise
    #: Lower is worse; lists put the worst first.
    rank: int

    @property
    def is_trouble(self) -> bool:
        return self.look in {"critical", "warn", "blind"}


CRITICAL = State("critical", "critical", _lazy("Critical"), 0)
DOWN = State("critical", "critical", _lazy("Down"), 0)
WARN = State("warn", "warn", _lazy("Warning"), 2)
BLIND = State("blind", "blind", _lazy("Blind"), 1)
UNKNOWN = State("unknown", "blind", _lazy("Unknown"), 3)
SUPPRESSED = State("supp", "supp", _lazy("Suppressed"), 4)
INFO = State("info", "info", _lazy("Info"), 5)
OK = State("ok", "ok", _lazy("OK"), 9)
UP = State("ok", "ok", _lazy("Up"), 9)
NONE = State("none", "", _lazy("None here"), 9)
OFF = State("off", "minus", _lazy("Disabled"), 8)

SEVERITIES: Mapping[str, State] = {"critical": CRITICAL, "warn": WARN, "info": INFO}


def lasting(start: datetime, end: datetime) -> str:
    """A time as operators say it: 34 s, 5 min, 2 h 10 min, 3 d 4 h."""
    return spell_seconds((end - start).total_seconds())


def spell_seconds(number: float) -> str:
    """The same of a number of seconds."""
    seconds = max(0, int(number))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 2:  # noqa: PLR2004
        return _("%(seconds)d s") % {"seconds": seconds}
    if not hours:
        return _("%(minutes)d min") % {"minutes": minutes}
    if not days:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes % 60}
    return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours % 24}


@dataclass(frozen=True)
class Pager:
    """Where in a list the screen stands; the addresses keep the filter."""

    total: int
    first: int
    last: int
    number: int
    pages: int
    #: The filter without a page.
    query: str
    previous_query: str
    next_query: str


def paged(
    rows: QuerySet[Any], *, number: int, asked: Mapping[str, str], size: int = PAGE_SIZE
) -> tuple[list[Any], Pager]:
    """One page of rows: two queries. A number past the end shows the last page."""
    total = rows.count()
    pager = pager_of(total, number=number, asked=asked, size=size)
    return list(rows[max(pager.first - 1, 0) : pager.last]), pager


def pager_of(total: int, *, number: int, asked: Mapping[str, str], size: int = PAGE_SIZE) -> Pager:
    """The same for rows that are already counted."""
    pages = max(1, -(-total // size))
    number = min(number, pages)
    return Pager(
        total=total,
        first=min((number - 1) * size + 1, total),
        last=min(number * size, total),
        number=number,
        pages=pages,
        query=query_of(asked),
        previous_query=query_of({**asked, "page": str(number - 1)}) if number > 1 else "",
        next_query=query_of({**asked, "page": str(number + 1)}) if number < pages else "",
    )


def query_of(asked: Mapping[str, str]) -> str:
    """What the address says of a filter; nothing of what is not asked."""
    return urlencode({name: value for name, value in asked.items() if value})


def page_number(request: HttpRequest) -> int:
    """``?page=``, from 1; whatever is not a number is the first."""
    text = request.GET.get("page", "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1  # noqa: PLR2004
    return min(max(number, 1), LAST_PAGE)


def asked_word(request: HttpRequest, name: str, *, most: int = 100) -> str:
    """A filter's value as the address has it; without what no column can hold."""
    return request.GET.get(name, "").replace("\x00", "").strip()[:most]


def wants_part(request: HttpRequest) -> bool:
    """Whether htmx asks for the living part of the page."""
    return bool(request.htmx)  # type: ignore[attr-defined]  # django-htmx's middleware
