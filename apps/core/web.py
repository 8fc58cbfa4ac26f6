"""The HTML edge: domain errors become pages with the right status, a database that is away a 503."""

import sys
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import get_template
from django.views.defaults import server_error

from apps.core.errors import DomainError

RETRY_SECONDS = 5

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
    if not isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return server_error(request)
    headers = {"Retry-After": str(RETRY_SECONDS)}
    if not request.path.startswith("/api/"):
        # No context: whatever a page needs may be what is away.
        page = get_template("503.html").render()
        return HttpResponse(page, status=503, headers=headers)
    problem = {
        "type": "urn:ispvm:problem:unavailable",
        "title": "Unavailable",
        "status": 503,
        "code": "unavailable",
        "detail": "The database does not answer now; nothing was changed. Ask again.",
    }
    return JsonResponse(
        problem, status=503, headers=headers, content_type="application/problem+json"
    )
