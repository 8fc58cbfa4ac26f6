"""JSON bodies that the database can store: others are refused with 400, instead of failing with 500."""

import json
import math
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from apps.core.errors import DomainError

#: Bytes; ten times the largest rule pack.
MAX_BODY = 2 * 1024 * 1024
MAX_DEPTH = 32
#: Items of one list or members of one object, and values of the whole body. Single fields allow less, as described.
MAX_ITEMS = 10_000
MAX_VALUES = 100_000
#: Characters of a query parameter or of `If-Match`.
MAX_PARAMETER_LENGTH = 1_000
MAX_NUMBER = 2**63


class BodyTooLarge(DomainError):
    """The body is larger than 2 MiB."""

    status = 413
    default_code = "body_too_large"


class BodyTooComplex(DomainError):
    """The body holds more than 10,000 items in one list or object, or more than 100,000 values in all."""

    status = 400
    default_code = "body_too_complex"


class StrictJSONParser(JSONParser):
    """Refuses NaN, numbers out of range, NUL, lone surrogates, and deep nesting."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        data = stream.read(MAX_BODY + 1)
        if len(data) > MAX_BODY:
            raise BodyTooLarge(message=f"At most {MAX_BODY} bytes.")
        try:
            body = json.loads(data.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError("The body is not JSON.") from error
        _check(body)
        return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _check(body: Any) -> None:
    level, values = [body], 0
    for _ in range(MAX_DEPTH):
        if not level:
            return
        inner: list[Any] = []
        values += len(level)
        if values > MAX_VALUES:
            raise BodyTooComplex(message=f"At most {MAX_VALUES} values.")
        for value in level:
            if isinstance(value, dict | list) and len(value) > MAX_ITEMS:
                raise BodyTooComplex(message=f"At most {MAX_ITEMS} items in one list or object.")
            if isinstance(value, dict):
                inner += value.keys()
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif not _is_plain(value):
                raise ParseError("The body holds a number or character that cannot be stored.")
        level = inner
    raise ParseError("The body is nested too deeply.")


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and (value.isascii() or _is_encodable(value))
    if isinstance(value, int):
        return abs(value) < MAX_NUMBER
    return not isinstance(value, float) or math.isfinite(value)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
