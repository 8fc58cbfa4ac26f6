"""Decorators of page views: permission and recent authentication."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.authorization.access import Access
from apps.authorization.freshness import require_fresh
from apps.authorization.permissions import Permission
from apps.authorization.requests import TenantHttpRequest
from apps.core import clock

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def requires(permission: Permission) -> Callable[[View[P]], View[P]]:
    """Declare the permission of a page; without it ``Forbidden`` is raised before the view runs.

    The access table reads the declaration (``page_permission``): a page without one fails the build.
    """

    def declare(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            enter(request, permission)
            return view(request, *args, **kwargs)

        guarded.page_permission = permission  # type: ignore[attr-defined]  # outer decorators copy it
        return guarded

    return declare


def enter(request: HttpRequest, permission: Permission) -> Access:
    """The access of a signed-in member. Raises Forbidden without a membership or without the right."""
    access = access_of(request)
    access.require(permission)
    return access


def access_of(request: HttpRequest) -> Access:
    """The access of a signed-in member, behind ``requires``. Raises TenantNotChosen, Forbidden without a membership."""
    request = cast(TenantHttpRequest, request)
    if request.access is None:
        raise request.access_error()
    return request.access


def fresh_sign_in(view: View[P]) -> View[P]:
    """For pages that touch secrets, keys or roles: they need recent authentication."""

    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        require_fresh(request.session, clock.now())
        return view(request, *args, **kwargs)

    return checked
