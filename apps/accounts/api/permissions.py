"""Deny by default: a view declares a permission per action, or it answers nobody."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.access import Access


def action_of(view: Any, request: Request) -> str:
    """What is asked of a view: its action, or the lower-case method (of HEAD: what GET is)."""
    method = (request.method or "").lower()
    return getattr(view, "action", None) or ("get" if method == "head" else method)


class DeclaredPermission(BasePermission):
    """Looks up the view's ``permission_map`` for its action (or lower-case method)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        access = request.auth
        if not isinstance(access, Access):
            return False
        method = (request.method or "").lower()
        if method == "options" or not hasattr(view, method):
            return True  # answered with the methods that there are, or with 405
        declared = getattr(view, "permission_map", {})
        permission = declared.get(action_of(view, request))
        return permission is not None and access.may(permission)
