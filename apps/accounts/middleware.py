"""Sets the tenant of page requests: from the session, checked against memberships on each request."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from apps.accounts.errors import SecondFactorRequired, TenantNotChosen
from apps.accounts.models import User
from apps.accounts.selectors import access_for_user, tenants_of
from apps.accounts.session_tenant import session_tenant_id
from apps.accounts.sessions import update_last_seen
from apps.authorization.errors import ReauthenticationRequired
from apps.authorization.freshness import is_fresh
from apps.authorization.requests import PAGE_SECONDS, TenantHttpRequest
from apps.core import clock
from apps.core.buckets import RateExceeded
from apps.core.errors import Forbidden
from apps.core.web import too_many_requests
from apps.tenancy import acting_in

#: REST sets its tenant after authentication. Sign-in has none yet, and must hold no transaction while it calls identity
#: providers.
WITHOUT_TENANT = ("/api/v1/", "/api/schema/", "/sign-in/")


class TenantMiddleware:
    """Runs signed-in page requests inside their tenant's transaction.

    REST requests set theirs after authentication, in ``rest.views``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request = cast(TenantHttpRequest, request)
        request.access, request.access_error = None, partial(_access_error, request)
        if request.path.startswith(WITHOUT_TENANT) or not request.user.is_authenticated:
            return self.get_response(request)
        tenant_id = session_tenant_id(request.session, request.user)
        access = access_for_user(request.user, tenant_id, at=clock.now())
        if access is None:
            return self.get_response(request)
        request.access = access.with_login_approval(is_fresh=is_fresh(request.session, clock.now()))
        # Bound until the end of the request, so that the access log line has the tenant.
        structlog.contextvars.bind_contextvars(tenant_id=str(access.tenant.id))
        try:
            request.admission.enter(access.tenant.id)
        except RateExceeded as refusal:
            return too_many_requests(refusal)
        update_last_seen(request, access.tenant.id, clock.now())
        with acting_in(access.tenant, seconds=PAGE_SECONDS):
            return self._render(self.get_response(request))

    def process_view(
        self,
        request: HttpRequest,
        view: Any,
        args: Any,  # noqa: ARG002  (Django's signature)
        kwargs: Any,  # noqa: ARG002
    ) -> HttpResponse | None:
        request = cast(TenantHttpRequest, request)
        if getattr(request, "access", None) and getattr(view, "is_expensive", False):
            try:
                request.admission.enter_expensive()
            except RateExceeded as refusal:
                return too_many_requests(refusal)
        return None

    @staticmethod
    def _render(response: Any) -> HttpResponse:
        # Template responses query while they render: that must happen inside the tenant.
        if hasattr(response, "render") and not response.is_rendered:
            response = response.render()
        return cast(HttpResponse, response)


def _access_error(request: HttpRequest) -> Forbidden:
    if isinstance(request.user, User) and tenants_of(request.user):
        return TenantNotChosen(message="Choose the tenant that you want to work in.")
    return Forbidden(message="You are not a member of any tenant. Ask your administrator.")


class ConfirmMiddleware:
    """Redirects to the page that confirms the sign-in, the second factor or the tenant, with ``next`` to return."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, ReauthenticationRequired):
            page = reverse("accounts:confirm")
        elif isinstance(error, TenantNotChosen):
            page = reverse("accounts:tenants")
        elif isinstance(error, SecondFactorRequired):
            page = reverse("accounts:second-factor")
        else:
            return None
        url = f"{page}?{urlencode({'next': self._next_url(request)})}"
        if "HX-Request" in request.headers:
            return HttpResponse(status=204, headers={"HX-Redirect": url})
        return HttpResponseRedirect(url)

    @staticmethod
    def _next_url(request: HttpRequest) -> str:
        """The page itself; after a form, the page with the form."""
        if request.method == "GET":
            return request.get_full_path()
        referrer = request.headers.get("Referer", "")
        if not url_has_allowed_host_and_scheme(referrer, allowed_hosts={request.get_host()}):
            return reverse("accounts:account")
        parts = urlsplit(referrer)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
