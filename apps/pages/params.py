"""Query parameters of pages."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.http import HttpRequest

LAST_PAGE = 10_000


def query_string(params: Mapping[str, str]) -> str:
    """The parameters as a query string, without empty ones."""
    return urlencode({name: value for name, value in params.items() if value})


def page_number(request: HttpRequest) -> int:
    """``?page=``, from 1; anything but a number is page 1."""
    text = request.GET.get("page", "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1  # noqa: PLR2004
    return min(max(number, 1), LAST_PAGE)


def text_param(request: HttpRequest, name: str, *, most: int = 100) -> str:
    """A text parameter, without NUL, which PostgreSQL cannot store."""
    return request.GET.get(name, "").replace("\x00", "").strip()[:most]


def is_partial_request(request: HttpRequest) -> bool:
    """Whether htmx requests a partial of the page."""
    return bool(request.htmx)  # type: ignore[attr-defined]  # django-htmx's middleware
