"""``ETag`` on every row and ``If-Match`` on every change: no lost updates."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from apps.core.errors import DomainError
from apps.rest.parsing import MAX_PARAMETER_LENGTH

ETAG_ACTIONS = frozenset({"retrieve", "update", "partial_update"})
IF_MATCH_ACTIONS = frozenset({"update", "partial_update", "destroy"})


class PreconditionFailed(DomainError):
    """The row changed: its ETag differs from ``If-Match``."""

    status = 412
    default_code = "precondition_failed"


def etag_of(representation: Mapping[str, Any], ignored: frozenset[str]) -> str:
    """The strong ETag of a representation, without the ``ignored`` fields."""
    included = {name: value for name, value in representation.items() if name not in ignored}
    text = json.dumps(included, cls=JSONEncoder, sort_keys=True)
    return f'"{sha256(text.encode()).hexdigest()[:32]}"'


def require_match(view: Any, request: Request, **kwargs: Any) -> None:
    """Raise PreconditionFailed unless the row's ETag is in ``If-Match``.

    Locks: the row, until the change is committed (not for a deletion).
    """
    if len(request.headers["If-Match"]) > MAX_PARAMETER_LENGTH:
        fault = ErrorDetail(f"At most {MAX_PARAMETER_LENGTH} characters.", "max_length")
        raise ValidationError({"If-Match": fault})
    row = view.get_object()
    if request.method != "DELETE":
        model = type(row)
        model._default_manager.select_for_update().get(pk=row.pk)
    wanted = {tag.strip() for tag in request.headers["If-Match"].split(",")}
    if "*" in wanted:
        return
    action, view.action = view.action, "retrieve"
    try:
        representation = view.retrieve(request, **kwargs).data
    finally:
        view.action = action
    if etag_of(representation, view.etag_ignores) not in wanted:
        raise PreconditionFailed(message="The row changed since you read it. Read it again.")
