"""The HTML edge: domain errors become pages with the right status, a database that is away a 503."""

import sys
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.common import CommonMiddleware
from django.shortcuts import render
from django.template.loader import get_template
from django.views.defaults import bad_request, page_not_found

from apps.core.buckets import RateExceeded
from apps.core.errors import DomainError
from apps.core.requests import current_request_id

RETRY_SECONDS = 5
API = "/api/"
BROKEN = "This should not have happened; nothing was changed. The log tells more under the answer's X-Request-ID."
AWAY = "The database does not answer now; nothing was changed. Ask again."

Handler = Callable[[HttpRequest], HttpResponse]


class DomainErrorMiddleware:
    """Renders ``error.html`` for a ``DomainError`` that a page let through."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        return render(request, "error.html", {"error": error}, status=error.status)


def broken(request: HttpRequest) -> HttpResponse:
    """What an error that nobody caught becomes: 503 while the database is away or recovers, else 500."""
    is_api = request.path.startswith(API)
    if not isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return problem_page(500, "internal", BROKEN) if is_api else _bare_page("500.html", 500)
    response = problem_page(503, "unavailable", AWAY) if is_api else _bare_page("503.html", 503)
    response["Retry-After"] = str(RETRY_SECONDS)
    return response


def _bare_page(name: str, status: int, **context: object) -> HttpResponse:
    """Without the request: whatever a page needs may be what is away. Plain where the style sheets are."""
    context["request_id"] = current_request_id()
    try:
        text, kind = get_template(name).render(context), "text/html"
    except ValueError:
        text, kind = BROKEN, "text/plain"
    return HttpResponse(text, status=status, content_type=f"{kind}; charset=utf-8")


def too_many_requests(refusal: RateExceeded) -> HttpResponse:
    """The page for a tenant that is over a limit. It asks nothing of the database."""
    response = _bare_page("429.html", refusal.status, refusal=refusal)
    response["Retry-After"] = str(refusal.retry_after)
    return response


def refused(request: HttpRequest, refusal: RateExceeded) -> HttpResponse:
    """The answer to a request that is over a limit, before it reaches a view."""
    if not request.path.startswith(API):
        return too_many_requests(refusal)
    response = problem_page(refusal.status, refusal.code, refusal.message)
    response["Retry-After"] = str(refusal.retry_after)
    return response


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A path that there is not."""
    if request.path.startswith(API):
        return problem_page(404, "not_found", "There is no such path. Paths end in a slash.")
    return page_not_found(request, exception)


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django itself refused: an unknown Host, too many fields."""
    if request.path.startswith(API):
        return problem_page(400, "malformed", "The request cannot be read.")
    return bad_request(request, exception)


def problem_page(status: int, code: str, detail: str) -> HttpResponse:
    """A problem document (RFC 9457) where no REST view answers."""
    body = {
        "type": f"urn:ispvm:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JsonResponse(body, status=status, content_type="application/problem+json")


class SlashMiddleware(CommonMiddleware):
    """Django's, but a write to the REST API is never redirected: clients would turn it into a read."""

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        if request.path.startswith(API) and request.method not in {"GET", "HEAD"}:
            return False
        return super().should_redirect_with_slash(request)
