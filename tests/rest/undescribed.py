"""Methods that the OpenAPI description does not name, as docs/rest.md says of all of them: HEAD, OPTIONS, and 405."""

from typing import Any
from urllib.parse import urlencode

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.rest.world import World

PROBLEM = "application/problem+json"


def others_of(operation: Any) -> list[str]:
    """What is not described for this path, with some that nobody answers."""
    named = {method.upper() for method in operation.schema.raw_schema["paths"][operation.path]}
    return sorted({"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - named)


def ask_undescribed(world: World, case: Any, method: str, caller: str) -> Any:
    """The answer of the application to the address and parameters of a described case."""
    query = urlencode(case.query or {}, doseq=True, errors="replace")
    client = world.clients[caller]
    client.raise_request_exception = False
    try:
        return client.generic(method, case.formatted_path, QUERY_STRING=query)
    finally:
        # The client connects them again behind itself; see the fixture `described`.
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)


def undescribed_fault(
    case: Any,
    method: str,
    answer: Any,
    *,
    methods: set[str],
    status: int,
    is_nobody: bool,
    is_there: bool,
) -> str:
    """What is wrong with the answer; ``methods`` of the path are described, ``status`` was answered to the case."""
    if method == "HEAD" and answer.content:
        return "HEAD has a body"
    expected = _expected(case, method, methods, status, is_nobody=is_nobody, is_there=is_there)
    if answer.status_code not in expected:
        return f"undocumented: {answer.status_code}, not {sorted(expected)}"
    if answer.status_code in {204, 405}:
        allowed = {word.strip() for word in answer.headers.get("Allow", "").split(",")}
        if not methods <= allowed:
            return f"Allow is {sorted(allowed)}"
    if answer.status_code >= 400 and method != "HEAD" and is_there:
        kind = answer.headers.get("Content-Type", "")
        return "" if kind == PROBLEM else f"{answer.status_code} as {kind!r}"
    return ""


def _expected(
    case: Any, method: str, methods: set[str], status: int, *, is_nobody: bool, is_there: bool
) -> set[int]:
    if not is_there:
        return {404}
    if is_nobody or status == 401:  # where a session is asked for, a token is no sign-in
        return {401}
    if method == "OPTIONS":
        return {204}
    if method == "HEAD" and case.method == "GET":
        return {status}
    if method == "HEAD" and "GET" in methods:
        return {200, 400, 403, 404}
    return {405}
