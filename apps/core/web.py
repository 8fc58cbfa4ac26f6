"""Error responses outside of REST views: domain errors as pages, and the handlers of 400, 404, 429, 500 and 503."""

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
INTERNAL_ERROR = "Server error. Nothing was changed. Report the X-Request-ID of this response."
DATABASE_UNAVAILABLE = "The database is unavailable. Nothing was changed. Try again."

Handler = Callable[[HttpRequest], HttpResponse]


class DomainErrorMiddleware:
    """Renders ``error.html`` for a ``DomainError`` that a page raised."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        return render(request, "error.html", {"error": error}, status=error.status)


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: 503 while the database is unavailable, else 500."""
    is_api = request.path.startswith(API)
    if not isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return (
            problem_page(500, "internal", INTERNAL_ERROR) if is_api else _bare_page("500.html", 500)
        )
    response = (
        problem_page(503, "unavailable", DATABASE_UNAVAILABLE)
        if is_api
        else _bare_page("503.html", 503)
    )
    response["Retry-After"] = str(RETRY_SECONDS)
    return response


def _bare_page(name: str, status: int, **context: object) -> HttpResponse:
    """Rendered without the request, whose context may need the database. Plain text without collected static files."""
    context["request_id"] = current_request_id()
    try:
        text, kind = get_template(name).render(context), "text/html"
    except ValueError:
        text, kind = INTERNAL_ERROR, "text/plain"
    return HttpResponse(text, status=status, content_type=f"{kind}; charset=utf-8")


def too_many_requests(refusal: RateExceeded) -> HttpResponse:
    """The page for a tenant that is over a limit. Needs no database query."""
    response = _bare_page("429.html", refusal.status, refusal=refusal)
    response["Retry-After"] = str(refusal.retry_after)
    return response


def refused(request: HttpRequest, refusal: RateExceeded) -> HttpResponse:
    """The response to a request that exceeds a limit, before it reaches a view."""
    if not request.path.startswith(API):
        return too_many_requests(refusal)
    response = problem_page(refusal.status, refusal.code, refusal.message)
    response["Retry-After"] = str(refusal.retry_after)
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    if request.path.startswith(API):
        return problem_page(404, "not_found", "The path does not exist. Paths end in a slash.")
    return page_not_found(request, exception)


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: a request that Django itself refused, such as an unknown Host or too many fields."""
    if request.path.startswith(API):
        return problem_page(400, "malformed", "The request cannot be read.")
    return bad_request(request, exception)


def problem_page(status: int, code: str, detail: str) -> HttpResponse:
    """A problem document (RFC 9457) outside of REST views."""
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
