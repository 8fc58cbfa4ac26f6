"""The door of every page: who is here, in which tenant, with which right, how lately proven."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest, HttpResponse

from apps.accounts.access import Access
from apps.accounts.freshness import require_fresh
from apps.accounts.middleware import TenantHttpRequest
from apps.accounts.permissions import Permission
from apps.core import clock
from apps.core.errors import Forbidden

View = Callable[..., HttpResponse]


def enter(request: HttpRequest, permission: Permission) -> Access:
    """The access of a signed-in member. Raises Forbidden without a membership or without the right."""
    access = cast(TenantHttpRequest, request).access
    if access is None:
        raise Forbidden(message="You are not a member of any tenant. Ask your administrator.")
    access.require(permission)
    return access


def fresh_sign_in(view: View) -> View:
    """For pages that touch secrets, keys or roles: who is not lately proven confirms first, and comes back."""

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        require_fresh(request.session, clock.now())
        return view(request, *args, **kwargs)

    return asked
