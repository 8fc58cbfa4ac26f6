"""Every REST error is a problem document with a stable code (RFC 9457)."""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError, connection, transaction
from django.http import Http404
from psycopg2.errors import QueryCanceled
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.core.buckets import RateExceeded
from apps.core.errors import DomainError, NotVisible
from apps.rest.parsing import MAX_BODY, BodyTooLarge

CONTENT_TYPE = "application/problem+json"


class TookTooLong(DomainError):
    """The query took longer than the time limit. Narrow it: a filter, a shorter time range."""

    status = 503
    default_code = "took_too_long"


def problem(
    status: int, code: str, detail: str, *, errors: list[dict[str, Any]] | None = None
) -> Response:
    """A problem response: ``{type, title, status, code, detail, errors}``."""
    body: dict[str, Any] = {
        "type": f"urn:ispvm:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return Response(body, status=status, content_type=CONTENT_TYPE)


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler; unknown errors propagate and become a 500."""
    if connection.in_atomic_block:
        transaction.set_rollback(True)
    if isinstance(error, RequestDataTooBig):
        error = BodyTooLarge(message=f"At most {MAX_BODY} bytes.")
    if isinstance(error, Http404):
        error = NotVisible()
    if isinstance(error, OperationalError) and isinstance(error.__cause__, QueryCanceled):
        error = TookTooLong(message="The query took longer than the time limit. Narrow it.")
    if isinstance(error, DjangoValidationError):
        error = exceptions.ValidationError(
            error.message_dict if hasattr(error, "error_dict") else error.messages
        )
    if isinstance(error, DomainError):
        refused = problem(error.status, error.code, error.message, errors=_context(error))
        if isinstance(error, RateExceeded):
            refused["Retry-After"] = str(error.retry_after)
        return refused
    if isinstance(error, exceptions.ValidationError):
        return problem(
            400, "invalid", "The request has faults.", errors=list(_faults(error.detail, ""))
        )
    response = exception_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        return response
    code = error.get_codes()
    body_response = problem(response.status_code, str(code), str(error.detail))
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in response.headers:
            body_response[name] = response.headers[name]
    return body_response


def _context(error: DomainError) -> list[dict[str, Any]]:
    return [{"field": key, "detail": str(value)} for key, value in error.context.items()]


def _faults(detail: Any, path: str) -> Any:
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _faults(value, f"{path}.{key}" if path else str(key))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            yield from _faults(value, f"{path}[{index}]" if nested else path)
    else:
        yield {"field": path, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}
