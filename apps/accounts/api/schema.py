"""How the REST API describes itself: who may call, what filters there are, what a refusal looks like."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from apps.accounts.api.preconditions import GUARDED
from apps.accounts.api.problems import CONTENT_TYPE


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "apps.accounts.api.authentication.BearerTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token of a member: `Authorization: Bearer ispvm_...`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "apps.accounts.api.authentication.TenantSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "A signed-in browser; writes carry `X-CSRFToken` too.",
        }


class PlatformSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "apps.accounts.api.platform.PlatformSessionAuthentication"
    name = "platformSession"


class FaultSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField(required=False)
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """A refusal (RFC 9457). `code` is stable; `detail` is for people."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FaultSerializer(many=True, required=False)  # type: ignore[assignment]  # a field here


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key and body within 24 hours is done once; the answer is repeated, without secrets.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The row's `ETag`: 412 if it was changed since.",
)
REFUSAL = OpenApiResponse(ProblemSerializer, "A refusal.")


class TenantAutoSchema(AutoSchema):
    """Adds what every view here has: the filters it declares, and problems as refusals."""

    def get_override_parameters(self) -> list[Any]:
        action = getattr(self.view, "action", "")
        if self.method == "POST":
            return [IDEMPOTENCY_KEY]
        if action in GUARDED:
            return [IF_MATCH]
        filters = getattr(self.view, "filters", {}) if action == "list" else {}
        return [OpenApiParameter(name, str) for name in filters]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if direction == "response":
            bodies["4XX"] = self._get_response_for_code(REFUSAL, "4XX", [CONTENT_TYPE])  # type: ignore[no-untyped-call]  # the library
        return bodies


class PlatformAutoSchema(TenantAutoSchema):
    """Outside of tenants: no idempotency keys, no row versions."""

    def get_override_parameters(self) -> list[Any]:
        return []
