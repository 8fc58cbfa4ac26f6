"""The site filter of a list: a select for few sites, a text search of names and codes for many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.pages.params import query_string

#: A choice of more sites weighs more than the list under it.
MOST_CHOICES = 50
#: So many of the sites that words fit are offered to narrow further.
MOST_FITTING = 8

SiteNames = Sequence[tuple[UUID, str, str]]


@dataclass(frozen=True)
class OneSite:
    """A site to filter by; its URL keeps the other parameters."""

    id: UUID
    name: str
    query: str


@dataclass(frozen=True)
class SiteField:
    """The field with its current value."""

    #: Empty when words are params for instead.
    choices: tuple[OneSite, ...]
    words: str
    chosen: UUID | None
    #: Of the chosen one; empty when there is no such site.
    chosen_name: str
    #: The filter without a site.
    query_of_any: str
    fitting: tuple[OneSite, ...]
    more_fitting: int


def site_field(
    sites: SiteNames, params: Mapping[str, str], *, chosen: UUID | None, words: str
) -> SiteField:
    """Over the sites that a member may view; ``params`` are all parameters of the URL. No queries."""
    has_choice = len(sites) <= MOST_CHOICES and not words
    wanted = words.casefold()
    fitting = [
        (pk, name)
        for pk, name, code in sites
        if words and (wanted in name.casefold() or wanted in code.casefold())
    ]
    offered = fitting[:MOST_FITTING] if len(fitting) > 1 else []
    return SiteField(
        choices=tuple(OneSite(pk, name, "") for pk, name, _code in sites) if has_choice else (),
        words=words,
        chosen=chosen,
        chosen_name=next((name for pk, name, _code in sites if pk == chosen), ""),
        query_of_any=query_string({**params, "site": ""}),
        fitting=tuple(
            OneSite(pk, name, query_string({**params, "site": str(pk)})) for pk, name in offered
        ),
        more_fitting=len(fitting) - len(offered) if offered else 0,
    )
