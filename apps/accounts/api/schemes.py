"""OpenAPI security schemes of the authentication classes. Importing this module registers them."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "apps.accounts.api.authentication.BearerTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token of a member: `Authorization: Bearer ispvm_...`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "apps.accounts.api.authentication.TenantSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "A signed-in browser; writes carry `X-CSRFToken` too.",
        }


class PlatformSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "apps.accounts.api.platform.PlatformSessionAuthentication"
    name = "platformSession"


class UserSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "apps.accounts.api.personal.UserSessionAuthentication"
    name = "userSession"
