"""The edge of the ingest listener: who calls, what may be read of the body, how refusals look.

Identity comes from the TLS layer alone: the peer certificate of gunicorn's own socket. No header is read for it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import msgspec
import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError

from apps.agents.services import AgentIdentity, authenticate_certificate
from apps.core import clock
from apps.core.errors import DomainError
from apps.ingest.decoding import check_depth, read_body
from apps.ingest.errors import BodyInvalid, BodyTooLarge, EncodingUnknown

log = structlog.get_logger(__name__)

SMALL_BODY = 256 * 1024
RETRY_SECONDS = 5

View = Callable[[HttpRequest], HttpResponse]
T = TypeVar("T")


def endpoint(method: str) -> Callable[[View], View]:
    """An ingest view: one method, refusals as JSON ``{code, detail}``, 503 while the database is away."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponse:
            if request.method != method:
                return refusal(405, "method_not_allowed", f"Only {method}.", {"Allow": method})
            try:
                return view(request)
            except DomainError as error:
                wait = getattr(error, "retry_after", None)
                headers = {"Retry-After": str(wait)} if wait else {}
                return refusal(error.status, error.code, error.message, headers)
            except (OperationalError, InterfaceError):
                log.warning("ingest_database_away")
                text = "The server cannot store now; send the same again."
                return refusal(503, "unavailable", text, {"Retry-After": str(RETRY_SECONDS)})
            except (UnreadablePostError, ConnectionError):
                return refusal(400, "truncated_body", "The body ended early.")

        return guarded

    return wrap


def refusal(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JsonResponse:
    """A refusal of the contract."""
    return JsonResponse({"code": code, "detail": detail}, status=status, headers=headers)


def caller(request: HttpRequest, *, for_renewal: bool = False) -> AgentIdentity:
    """The agent behind the client certificate. Raises CertificateMissing, CertificateRefused."""
    socket: Any = request.META.get("gunicorn.socket")
    getpeercert = getattr(socket, "getpeercert", None)
    der = getpeercert(True) if getpeercert else None
    return authenticate_certificate(der=der or b"", at=clock.now(), for_renewal=for_renewal)


def body_of(request: HttpRequest) -> bytes:
    """The decoded body, within the limits. Raises BodyInvalid, BodyTooLarge, EncodingUnknown."""
    if request.content_type != "application/json":
        raise EncodingUnknown("unsupported_content_type", "Content-Type is application/json.")
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8"}:
        raise EncodingUnknown("unsupported_content_type", "The charset is UTF-8.")
    return read_body(
        request.META["wsgi.input"],
        encoding=request.headers.get("Content-Encoding", ""),
        length=_length(request),
    )


def small_body_of(request: HttpRequest, shape: type[T]) -> T:
    """A small JSON body of a known shape. Raises as ``body_of``."""
    body = body_of(request)
    if len(body) > SMALL_BODY:
        raise BodyTooLarge(message="This body is at most 256 KiB.")
    check_depth(body)
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyInvalid(message=str(error)[:300]) from error


def _length(request: HttpRequest) -> int | None:
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
