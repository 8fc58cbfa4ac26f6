"""Request ids: in the response header, in all log lines, and in the tasks sent by the request."""

import re
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

log = structlog.get_logger(__name__)

HEADER = "X-Request-ID"
_VALID_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Polled every few seconds: logged only if they fail.
QUIET = frozenset({"/livez", "/readyz", "/metrics"})
FIRST_ERROR = 400


def current_request_id() -> str:
    """The id of the current request; empty outside of one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


class RequestIdMiddleware:
    """Outermost. Uses the caller's id if it is valid, else generates one; logs the request."""

    #: Whether successful requests are logged.
    logs_success = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        received = request.headers.get(HEADER, "")
        request_id = received if _VALID_ID.fullmatch(received) else uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.monotonic()
        try:
            response = self.get_response(request)
            response[HEADER] = request_id
            self._log(request, response, time.monotonic() - started)
        finally:
            structlog.contextvars.clear_contextvars()
        return response

    def _log(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        is_error = response.status_code >= FIRST_ERROR
        if not is_error and (request.path in QUIET or not self.logs_success):
            return
        # The path without its query string, which may contain search terms or tokens.
        log.info(
            "request",
            method=(request.method or "")[:16],
            path=request.path[:200],
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
        )


class AgentRequestIdMiddleware(RequestIdMiddleware):
    """For the ingest listener: agents send every few seconds; only refused requests are logged."""

    logs_success = False
