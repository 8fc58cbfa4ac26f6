"""One id for a request, from its answer's header through every log line to the tasks that it rings."""

import re
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

log = structlog.get_logger(__name__)

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Asked every few seconds by programs: news only when they fail.
QUIET = frozenset({"/livez", "/readyz", "/metrics"})
FIRST_ERROR = 400


def current_request_id() -> str:
    """Of the request that is being answered; empty outside of one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


class RequestIdMiddleware:
    """Outermost. Takes the caller's id if it looks like one, else makes one; says how the request went."""

    #: Whether requests that went well get a line of their own.
    tells_success = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        request_id = given if _GIVEN.fullmatch(given) else uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.monotonic()
        try:
            response = self.get_response(request)
            response[HEADER] = request_id
            self._tell(request, response, time.monotonic() - began)
        finally:
            structlog.contextvars.clear_contextvars()
        return response

    def _tell(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        is_error = response.status_code >= FIRST_ERROR
        if not is_error and (request.path in QUIET or not self.tells_success):
            return
        # The path without its query: what people search for is nobody's business, and links carry tokens.
        log.info(
            "request",
            method=(request.method or "")[:16],
            path=request.path[:200],
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
        )


class AgentRequestIdMiddleware(RequestIdMiddleware):
    """For the ingest listener: every agent sends every few seconds; only refusals are news."""

    tells_success = False
