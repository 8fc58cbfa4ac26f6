"""``ETag`` on every row, ``If-Match`` on every change of one: nobody overwrites what they have not seen."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from apps.core.errors import DomainError
from apps.rest.parsing import LONGEST_PARAMETER

TAGGED = frozenset({"retrieve", "update", "partial_update"})
GUARDED = frozenset({"update", "partial_update", "destroy"})


class PreconditionFailed(DomainError):
    """The row is no longer what ``If-Match`` names."""

    status = 412
    default_code = "precondition_failed"


def tag_of(shown: Mapping[str, Any], ignored: frozenset[str]) -> str:
    """The strong tag of a row as it is shown; what changes by itself (``ignored``) is left out."""
    counted = {name: value for name, value in shown.items() if name not in ignored}
    text = json.dumps(counted, cls=JSONEncoder, sort_keys=True)
    return f'"{sha256(text.encode()).hexdigest()[:32]}"'


def require_match(view: Any, request: Request, **kwargs: Any) -> None:
    """Raise PreconditionFailed unless the row is what the caller last saw.

    Locks: the row, until the change is committed (a deletion takes no lock: it changes nothing unseen).
    """
    if len(request.headers["If-Match"]) > LONGEST_PARAMETER:
        fault = ErrorDetail(f"At most {LONGEST_PARAMETER} characters.", "max_length")
        raise ValidationError({"If-Match": fault})
    row = view.get_object()
    if request.method != "DELETE":
        model = type(row)
        model._default_manager.select_for_update().get(pk=row.pk)  # noqa: SLF001  (Django's public spelling)
    wanted = {tag.strip() for tag in request.headers["If-Match"].split(",")}
    if "*" in wanted:
        return
    action, view.action = view.action, "retrieve"
    try:
        shown = view.retrieve(request, **kwargs).data
    finally:
        view.action = action
    if tag_of(shown, view.etag_ignores) not in wanted:
        raise PreconditionFailed(message="It was changed since you read it. Read it again.")
