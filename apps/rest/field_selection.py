"""``?fields=id,name`` on lists and rows: only these fields are sent."""

from typing import Any

from rest_framework.response import Response

from apps.rest.problems import problem

FIELD_SELECTION_ACTIONS = frozenset({"list", "retrieve"})


def select_fields(response: Response, text: str, known: set[str]) -> Response:
    """The response with only the named fields of each row; 400 for an unknown one.

    ``known``: all fields of a row, also for an empty list.
    """
    body: Any = response.data
    rows: list[dict[str, Any]] = body.get("results", [body])
    wanted = set(text.split(","))
    unknown = wanted - known - {name for row in rows for name in row}
    if unknown:
        faults = [
            {"field": "fields", "code": "unknown_field", "detail": f"There is no field {name!r}."}
            for name in sorted(name[:100] for name in unknown)
        ]
        return problem(400, "invalid", "The request has faults.", errors=faults)
    selected = [{name: row[name] for name in row if name in wanted} for row in rows]
    response.data = {**body, "results": selected} if "results" in body else selected[0]
    return response
