"""Deny by default: a view declares a permission per action, or it answers nobody."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.access import Access


def action_of(view: Any, request: Request) -> str:
    """What is asked of a view: its action, or the lower-case method."""
    return getattr(view, "action", None) or (request.method or "").lower()


class DeclaredPermission(BasePermission):
    """Looks up the view's ``permission_map`` for its action (or lower-case method)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        declared = getattr(view, "permission_map", {})
        permission = declared.get(action_of(view, request))
        access = request.auth
        return permission is not None and isinstance(access, Access) and access.may(permission)
