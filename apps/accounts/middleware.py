"""The tenant of a page: from the session, checked against memberships on each request."""

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import structlog
from django.http import HttpRequest, HttpResponse

from apps.accounts.access import Access
from apps.accounts.selectors import access_for_user
from apps.core import clock
from apps.tenancy import acting_in

SESSION_TENANT = "tenant_id"


class TenantHttpRequest(HttpRequest):
    """A request behind ``TenantMiddleware``; ``access`` is None for strangers."""

    access: Access | None


class TenantMiddleware:
    """Runs signed-in page requests inside their tenant's transaction.

    REST requests open theirs after authentication, in ``accounts.api.views``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request = cast(TenantHttpRequest, request)
        request.access = None
        if request.path.startswith("/api/") or not request.user.is_authenticated:
            return self.get_response(request)
        request.access = access_for_user(request.user, self._chosen(request), at=clock.now())
        if request.access is None:
            return self.get_response(request)
        # Stays to the end of the request: the line about it says whose it was.
        structlog.contextvars.bind_contextvars(tenant_id=str(request.access.tenant.id))
        with acting_in(request.access.tenant):
            return self._render(self.get_response(request))

    @staticmethod
    def _render(response: Any) -> HttpResponse:
        # Lazy template responses query while they render: that must happen inside the tenant.
        if hasattr(response, "render") and not response.is_rendered:
            response = response.render()
        return cast(HttpResponse, response)

    @staticmethod
    def _chosen(request: HttpRequest) -> UUID | None:
        try:
            return UUID(request.session[SESSION_TENANT])
        except (KeyError, ValueError):
            return None
