"""Deny by default: an action without a declared permission is forbidden."""

from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.authorization.access import Access
from apps.authorization.freshness import require_fresh
from apps.core import clock


def is_session(request: Request) -> bool:
    """Whether the caller is a browser session, not a token."""
    return isinstance(request.successful_authenticator, SessionAuthentication)


def action_of(view: Any, request: Request) -> str:
    """The action of a view, or the lower-case method (GET for HEAD)."""
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
            return True  # answered with Allow, or with 405
        declared = getattr(view, "permission_map", {})
        permission = declared.get(action_of(view, request))
        return permission is not None and access.may(permission)


def require_declared_proof(view: Any, request: Request) -> None:
    """Raise ReauthenticationRequired for an action in ``fresh_sign_in`` without recent authentication."""
    if is_session(request) and action_of(view, request) in view.fresh_sign_in:
        require_fresh(request.session, clock.now())
