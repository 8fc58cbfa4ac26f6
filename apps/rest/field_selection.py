"""``?fields=id,name`` on lists and rows: what a program does not need is not sent."""

from typing import Any

from rest_framework.response import Response

from apps.rest.problems import problem

TRIMMED = frozenset({"list", "retrieve"})


def trim(response: Response, text: str, known: set[str]) -> Response:
    """The answer with only the named fields of each row; a 400 when one is unknown.

    ``known``: the fields that a row may have, also when the list is empty.
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
    kept = [{name: row[name] for name in row if name in wanted} for row in rows]
    response.data = {**body, "results": kept} if "results" in body else kept[0]
    return response
