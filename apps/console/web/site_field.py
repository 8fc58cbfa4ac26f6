"""The site filter of a list: a select for few sites, a text search of names and codes for many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.pages.params import query_string

#: A select with more options would be larger than the list itself.
MAX_CHOICES = 50
#: Matching sites that are offered as links.
MAX_MATCHES = 8

SiteNames = Sequence[tuple[UUID, str, str]]


@dataclass(frozen=True)
class SiteChoice:
    """A site to filter by; its URL keeps the other parameters."""

    id: UUID
    name: str
    query: str


@dataclass(frozen=True)
class SiteField:
    """The field with its current value."""

    #: Empty when the field is a text search.
    choices: tuple[SiteChoice, ...]
    words: str
    chosen: UUID | None
    #: Empty when the chosen site does not exist or is not visible.
    chosen_name: str
    #: The filter without a site.
    any_site_query: str
    matches: tuple[SiteChoice, ...]
    more_matches: int


def site_field(
    sites: SiteNames, params: Mapping[str, str], *, chosen: UUID | None, words: str
) -> SiteField:
    """Over the sites that a member may view; ``params`` are all parameters of the URL. No queries."""
    has_choice = len(sites) <= MAX_CHOICES and not words
    wanted = words.casefold()
    matches = [
        (pk, name)
        for pk, name, code in sites
        if words and (wanted in name.casefold() or wanted in code.casefold())
    ]
    offered = matches[:MAX_MATCHES] if len(matches) > 1 else []
    return SiteField(
        choices=tuple(SiteChoice(pk, name, "") for pk, name, _code in sites) if has_choice else (),
        words=words,
        chosen=chosen,
        chosen_name=next((name for pk, name, _code in sites if pk == chosen), ""),
        any_site_query=query_string({**params, "site": ""}),
        matches=tuple(
            SiteChoice(pk, name, query_string({**params, "site": str(pk)})) for pk, name in offered
        ),
        more_matches=len(matches) - len(offered) if offered else 0,
    )
