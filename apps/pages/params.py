"""Query parameters of pages."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.http import HttpRequest

LAST_PAGE = 10_000


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
