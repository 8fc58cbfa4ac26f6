"""Leads people who lack a required second factor to where it is set up, before anything else opens."""

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
#: What it takes to set up a factor or to show one, and to leave.
OPEN = frozenset(
    {
        PAGE,
        *("accounts:authenticator", "accounts:passkey-offer", "accounts:add-passkey"),
        *("accounts:recovery-codes", "accounts:sign-out"),
        *("accounts:confirm", "accounts:confirm-passkey", "accounts:confirm-passkey-challenge"),
    }
)


class SecondFactorMiddleware:
    """Stands behind ``TenantMiddleware``. REST asks for itself, see ``accounts.api.authentication``."""

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
        if request.resolver_match and request.resolver_match.view_name in OPEN:
            # Nothing of the tenant is on these pages.
            request.access = None
            return None
        target = f"{reverse(PAGE)}?{urlencode({'next': next_of(request)})}"
        if "HX-Request" in request.headers:
            return HttpResponse(status=204, headers={"HX-Redirect": target})
        return HttpResponseRedirect(target)


def next_of(request: HttpRequest) -> str:
    """Where to go afterwards: the page itself, or the start after a form."""
    return request.get_full_path() if request.method == "GET" else "/"
