"""The OpenAPI description: parameters of the framework and problem responses."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from apps.rest.field_selection import FIELD_SELECTION_ACTIONS
from apps.rest.fields import publish_bounds
from apps.rest.idempotency import MAX_KEY_LENGTH
from apps.rest.parsing import MAX_PARAMETER_LENGTH
from apps.rest.preconditions import IF_MATCH_ACTIONS
from apps.rest.problems import CONTENT_TYPE


class FaultSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField(required=False)
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457). `code` is stable; `detail` is for people."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FaultSerializer(many=True, required=False)  # type: ignore[assignment]  # a field here


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    OpenApiParameter.HEADER,
    description="With the same key and body within 24 hours, the request is executed once;"
    " its response is repeated, without secrets.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The row's `ETag`; 412 if the row has changed since.",
)
FIELDS = OpenApiParameter(
    "fields", str, description="Names of the fields to return, separated by commas."
)
#: App -> tag; other apps have their own name as tag.
AREAS = {"accounts": "identity", "vault": "inventory"}
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

#: Status -> component, what it means.
PROBLEM_RESPONSES = {
    "400": ("Invalid", "A parameter or field cannot be used; `errors` names each."),
    "401": ("Unauthenticated", "No token or session, or one that is unknown, expired or revoked."),
    "403": ("Forbidden", "The role, the token's scopes or the grant do not allow it."),
    "404": (
        "NotFound",
        "The object does not exist or is not visible to the caller; both get the same response.",
    ),
    "409": ("Conflict", "The current state does not allow it."),
    "412": ("Changed", "The row has changed: its `ETag` differs from `If-Match`."),
    "415": ("NotJson", "Request bodies must be `application/json`."),
    "422": ("Refused", "The request is valid but cannot be processed; `code` gives the reason."),
    "429": (
        "TooMany",
        "A rate limit or a limit of the tenant is exceeded: retry after `Retry-After` seconds.",
    ),
    "4XX": ("Problem", "An error."),
    "503": ("Unavailable", "The database is unavailable, or the query exceeded the time limit."),
}


class TenantAutoSchema(AutoSchema):
    """Adds what every view has: declared filters, headers, and problem responses."""

    def get_tags(self) -> list[str]:
        app = type(self.view).__module__.split(".")[1]
        return [AREAS.get(app, app)]

    def is_deprecated(self) -> bool:
        return bool(super().is_deprecated()) or self._action() in getattr(
            self.view, "deprecated", {}
        )

    def get_override_parameters(self) -> list[Any]:
        action = self._action()
        if self.method == "POST":
            return [IDEMPOTENCY_KEY]
        if action in IF_MATCH_ACTIONS:
            return [IF_MATCH]
        found = [FIELDS] if action in FIELD_SELECTION_ACTIONS else []
        orderings = getattr(self.view, "orderings", ()) if action == "list" else ()
        if orderings:
            choices = [sign + name for name in orderings for sign in ("", "-")]
            found.append(
                OpenApiParameter(
                    "ordering", str, enum=choices, description="Leading minus: descending."
                )
            )
        return found

    def _map_serializer_field(self, field: Any, *args: Any, **kwargs: Any) -> Any:
        """A read-only choice that may be blank in its column may be blank in a response."""
        model = getattr(getattr(field.parent, "Meta", None), "model", None)
        if model and field.read_only and type(field) is serializers.ChoiceField:
            columns = {c.name: c for c in model._meta.concrete_fields}
            if field.source in columns:
                field.allow_blank = columns[field.source].blank
        schema = super()._map_serializer_field(field, *args, **kwargs)  # type: ignore[no-untyped-call]  # the library
        return publish_bounds(field, schema) if schema else schema

    def _get_parameters(self) -> list[dict[str, Any]]:
        """Every text parameter has a maximum length (``filters.require_documented``)."""
        parameters: list[dict[str, Any]] = super()._get_parameters()
        for parameter in parameters:
            schema = parameter.get("schema", {})
            if schema.get("type") == "string" and not {"enum", "format"} & set(schema):
                schema.setdefault("maxLength", MAX_PARAMETER_LENGTH)
        return parameters

    def _action(self) -> str:
        return getattr(self.view, "action", "") or self.method.lower()

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if direction == "response":
            problem = self._get_response_for_code(  # type: ignore[no-untyped-call]  # the library
                OpenApiResponse(ProblemSerializer), "4XX", [CONTENT_TYPE]
            )
            self.registry.problem = problem  # type: ignore[attr-defined]  # for the hook below
            for status in self._refusals():
                bodies.setdefault(
                    status, {"$ref": f"#/components/responses/{PROBLEM_RESPONSES[status][0]}"}
                )
        return dict(sorted(bodies.items()))

    def _refusals(self) -> list[str]:
        is_write = self.method in WRITES
        known = {
            "404": "{" in self.path,
            "409": is_write,
            "412": self._action() in IF_MATCH_ACTIONS,
            "415": is_write and self.method != "DELETE",
            "422": is_write,
        }
        return [status for status in PROBLEM_RESPONSES if known.get(status, True)]


class PlatformAutoSchema(TenantAutoSchema):
    """Outside of tenants: no idempotency keys, no ETags."""

    def get_override_parameters(self) -> list[Any]:
        return []


def share_problem_responses(result: dict[str, Any], generator: Any, **_: Any) -> dict[str, Any]:
    """A hook of the generator: each problem response is described once and referenced."""
    problem = getattr(generator.registry, "problem", None)
    if problem:
        result["components"]["responses"] = {
            name: {**problem, "description": description}
            for name, description in PROBLEM_RESPONSES.values()
        }
    return result
