"""Deny by default: a view declares a permission per action, or it answers nobody."""

from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.authorization.access import Access
from apps.authorization.freshness import require_fresh
from apps.core import clock


def is_session(request: Request) -> bool:
    """Whether a person calls from their browser, and not a program with a token."""
    return isinstance(request.successful_authenticator, SessionAuthentication)


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


def require_declared_proof(view: Any, request: Request) -> None:
    """Raise ReauthenticationRequired where the view's ``fresh_sign_in`` names what is asked, and a person asks it."""
    if is_session(request) and action_of(view, request) in view.fresh_sign_in:
        require_fresh(request.session, clock.now())
