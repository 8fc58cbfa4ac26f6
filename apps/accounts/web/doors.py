"""The door of every page: who is here, in which tenant, with which right."""

from typing import cast

from django.http import HttpRequest

from apps.accounts.access import Access
from apps.accounts.middleware import TenantHttpRequest
from apps.accounts.permissions import Permission
from apps.core.errors import Forbidden


def enter(request: HttpRequest, permission: Permission) -> Access:
    """The access of a signed-in member. Raises Forbidden without a membership or without the right."""
    access = cast(TenantHttpRequest, request).access
    if access is None:
        raise Forbidden(message="You are not a member of any tenant. Ask your administrator.")
    access.require(permission)
    return access
