"""Request handling that all ingest endpoints share: identity, body limits, error responses.

The identity is the client certificate of the TLS handshake: see ``peer``.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.agents.services import AgentIdentity, authenticate_certificate
from apps.core import clock
from apps.core.errors import DomainError
from apps.ingest import metrics
from apps.ingest.api.peer import client_certificate
from apps.ingest.decoding import read_body
from apps.ingest.errors import BodyInvalid, BodyTooLarge, EncodingUnknown
from apps.ingest.schema import parse

log = structlog.get_logger(__name__)

SMALL_BODY = 256 * 1024
UNAVAILABLE = 503
RETRY_SECONDS = 5

View = Callable[..., HttpResponse]
T = TypeVar("T")


def endpoint(method: str) -> Callable[[View], View]:
    """An ingest view: one method, errors as JSON ``{code, detail}``, 503 while the database is unavailable."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, **named: object) -> HttpResponse:
            if request.method != method:
                return error_response(
                    405, "method_not_allowed", f"Only {method}.", {"Allow": method}
                )
            started_at = time.monotonic()
            response = _answer(view, request, **named)
            metrics.SECONDS.labels(view.__name__, str(response.status_code)).observe(
                time.monotonic() - started_at
            )
            # Without a length gunicorn would send chunks, which simple clients do not read.
            response.headers.setdefault("Content-Length", str(len(response.content)))
            return response

        return guarded

    return wrap


def _answer(view: View, request: HttpRequest, **named: object) -> HttpResponse:
    try:
        return view(request, **named)
    except DomainError as error:
        wait = getattr(error, "retry_after", RETRY_SECONDS if error.status == UNAVAILABLE else None)
        headers = {"Retry-After": str(wait)} if wait else {}
        return error_response(error.status, error.code, error.message, headers)
    except (OperationalError, InterfaceError):
        log.warning("ingest_database_unavailable")
        text = "The server cannot store data now; send the same request again."
        return error_response(UNAVAILABLE, "unavailable", text, {"Retry-After": str(RETRY_SECONDS)})


def unknown_path(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """404 of the ingest listener, which serves agents only."""
    return error_response(404, "not_found", "No such endpoint.")


def internal_error(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """500 without internals; the log has the traceback."""
    return error_response(
        500, "internal_error", "The server failed; send the same request again later."
    )


def error_response(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JsonResponse:
    """An error response of the ingest API."""
    metrics.REFUSED.labels(code).inc()
    response = JsonResponse({"code": code, "detail": detail}, status=status, headers=headers)
    response["Content-Length"] = str(len(response.content))
    return response


def caller(request: HttpRequest, *, for_renewal: bool = False) -> AgentIdentity:
    """The agent that the client certificate identifies.

    Raises CertificateMissing, CertificateRefused, CertificateLookupFailed.
    """
    identity = authenticate_certificate(
        der=client_certificate(request), at=clock.now(), for_renewal=for_renewal
    )
    structlog.contextvars.bind_contextvars(
        tenant_id=str(identity.tenant_id), agent_id=str(identity.agent_id)
    )
    return identity


def body_of(request: HttpRequest) -> bytes:
    """The decoded body, within the limits. Raises BodyInvalid, BodyTooLarge, EncodingUnknown."""
    if request.content_type != "application/json":
        raise EncodingUnknown("unsupported_content_type", "Content-Type must be application/json.")
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8"}:
        raise EncodingUnknown("unsupported_content_type", "The charset must be UTF-8.")
    return read_body(
        request.META["wsgi.input"],
        encoding=request.headers.get("Content-Encoding", ""),
        length=content_length(request),
    )


def small_body_of(request: HttpRequest, schema: type[T]) -> T:
    """A small JSON body of this schema. Raises as ``body_of``."""
    body = body_of(request)
    if len(body) > SMALL_BODY:
        raise BodyTooLarge(message="This body may have at most 256 KiB.")
    return parse(body, schema)


def content_length(request: HttpRequest) -> int | None:
    """Content-Length; None when the body is chunked. Raises BodyInvalid."""
    announced = request.META.get("CONTENT_LENGTH")
    if not announced:
        chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
        return None if chunked else 0
    try:
        length = int(announced)
    except ValueError as error:
        raise BodyInvalid("bad_length", "Content-Length is not a number.") from error
    if length < 0:
        raise BodyInvalid("bad_length", "Content-Length is negative.")
    return length
