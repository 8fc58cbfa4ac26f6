"""Cursor pagination of every list."""

from typing import Any

from django.core.signing import BadSignature, Signer
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

BOOLEANS = {"true": True, "false": False}


class SignedCursorPagination(CursorPagination):
    """``?cursor=``, ``?page_size=`` (1 to 500), ``?ordering=`` where the view offers some, ``?total=true``.

    A cursor is signed for its list and ordering: the database sees only values that were written here.
    """

    page_size = 100
    max_page_size = 500
    page_size_query_param = "page_size"
    ordering = "id"
    # An outage gives thousands of alerts the same timestamp; a limit would repeat one page of them.
    offset_cutoff = 0
    request: Request
    _total: int | None = None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        if _boolean(request, "total"):
            self._total = queryset.count()
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size")
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= self.max_page_size):
            raise _fault("page_size", f"A number from 1 to {self.max_page_size}.")
        return int(text)

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        value = request.query_params.get("ordering")
        if value is None or getattr(view, "action", "") != "list":
            return super().get_ordering(request, queryset, view)
        name = value.removeprefix("-")
        if name not in view.orderings:
            offered = ", ".join(view.orderings) or "none"
            raise _fault("ordering", f"This list can be ordered by: {offered}.")
        declared = getattr(view, "entity_list", None)
        if declared is not None:
            fields: tuple[str, ...] = declared.order(name).fields(descends=value.startswith("-"))
            return fields
        return (value, f"{value[: -len(name)]}id")  # ties need the id

    def encode_cursor(self, cursor: Cursor) -> str:
        signed = self._signer(self.request).sign_object(list(cursor))
        return str(replace_query_param(str(self.base_url), "cursor", signed))

    def decode_cursor(self, request: Request) -> Cursor | None:
        text = request.query_params.get("cursor")
        if text is None:
            return None
        try:
            return Cursor(*self._signer(request).unsign_object(text))
        except (BadSignature, UnicodeError) as error:
            raise _fault(
                "cursor", "Take it from `next` or `previous` of the same list, in the same order."
            ) from error

    def _signer(self, request: Request) -> Signer:
        return Signer(salt=f"rest.cursor {request.path} {','.join(self.ordering)}")

    def get_paginated_response(self, data: Any) -> Response:
        response: Response = super().get_paginated_response(data)
        if self._total is not None:
            response.data["total"] = self._total
        return response

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "description": "The next page; null on the last."},
                "previous": link,
                "results": schema,
                "total": {"type": "integer", "description": "Only with `total=true`."},
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": 100}
        return [
            _parameter(
                "cursor",
                "The cursor in `next` or `previous`; do not construct one.",
                {"type": "string"},
            ),
            _parameter("page_size", "Rows per page.", size),
            _parameter(
                "total", "Also count all rows: `total`.", {"type": "boolean", "default": False}
            ),
        ]


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _boolean(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false")
    if text not in BOOLEANS:
        raise _fault(name, "true or false.")
    return BOOLEANS[text]


def _fault(name: str, text: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(text, "invalid")]})
