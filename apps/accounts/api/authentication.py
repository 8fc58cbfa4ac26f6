"""Authentication of the REST API: a bearer token, or a browser session with its CSRF token."""

from typing import Any, cast
from uuid import UUID

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.accounts.factor_policy import require_factor
from apps.accounts.models import User
from apps.accounts.selectors import access_for_token, access_for_user
from apps.accounts.session_tenant import session_tenant_id
from apps.accounts.sessions import update_last_seen
from apps.accounts.tokens import admit_token
from apps.authorization.access import Access
from apps.authorization.freshness import is_fresh
from apps.core import clock

TENANT_HEADER = "X-ISPVM-Tenant"


class BearerTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer ispvm_...``; tokens in URLs are never read."""

    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        access = access_for_token(text.strip(), clock.now())
        if access is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.", "bad_token")
        if (header_id := _header_tenant_id(request)) is not None and header_id != access.tenant.pk:
            raise AuthenticationFailed("The token belongs to another tenant.", "no_tenant")
        admit_token(access.actor.id)
        return access.user, access

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TenantSessionAuthentication(SessionAuthentication):
    """Browser sessions."""

    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        result: tuple[Any, Any] | None = super().authenticate(request)
        if result is None:
            return None
        user = cast(User, result[0])
        tenant_id = _header_tenant_id(request) or session_tenant_id(request.session, user)
        access = access_for_user(user, tenant_id, at=clock.now())
        if access is None:
            raise AuthenticationFailed(
                "This session has no tenant that you are a member of. Choose one on the Tenants page.",
                "no_tenant",
            )
        require_factor(request.session, access)
        update_last_seen(request._request, access.tenant.id, clock.now())  # noqa: SLF001  (Django's request)
        return user, access.with_login_approval(is_fresh=is_fresh(request.session, clock.now()))


def _header_tenant_id(request: Request) -> UUID | None:
    """The tenant of the tenant header. It selects among the caller's tenants and grants nothing."""
    text = request.headers.get(TENANT_HEADER)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise AuthenticationFailed("The tenant header is not a tenant id.", "no_tenant") from None
