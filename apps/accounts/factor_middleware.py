"""Redirects users who lack a required second factor to the page on which it is set up."""

from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from apps.accounts.access import member_access
from apps.accounts.factor_policy import lacks_factor
from apps.accounts.middleware import WITHOUT_TENANT
from apps.authorization.requests import TenantHttpRequest

PAGE = "accounts:second-factor"
#: Pages needed to set up or confirm a factor, and to sign out.
ALLOWED_VIEWS = frozenset(
    {
        PAGE,
        *(
            "accounts:authenticator",
            "accounts:passkey-registration-options",
            "accounts:add-passkey",
        ),
        *("accounts:recovery-codes", "accounts:sign-out"),
        *("accounts:confirm", "accounts:confirm-passkey", "accounts:confirm-passkey-challenge"),
    }
)


class SecondFactorMiddleware:
    """Runs after ``TenantMiddleware``. REST checks in ``accounts.api.authentication``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        request = cast(TenantHttpRequest, request)
        if request.path.startswith(WITHOUT_TENANT) or not request.user.is_authenticated:
            return None
        if not getattr(view, "login_required", True):
            return None
        access = member_access(request.access) if request.access else None
        if not lacks_factor(request.session, access):
            return None
        if request.resolver_match and request.resolver_match.view_name in ALLOWED_VIEWS:
            # These pages show nothing of the tenant.
            request.access = None
            return None
        target = f"{reverse(PAGE)}?{urlencode({'next': next_url_of(request)})}"
        if "HX-Request" in request.headers:
            return HttpResponse(status=204, headers={"HX-Redirect": target})
        return HttpResponseRedirect(target)


def next_url_of(request: HttpRequest) -> str:
    """The page itself, or the start page after a form."""
    return request.get_full_path() if request.method == "GET" else "/"
