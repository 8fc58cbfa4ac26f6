"""Sessions opened by a tenant's identity provider: valid only while the provider may authenticate the user.

Sign-in methods cannot be changed in them: whoever runs the provider could otherwise keep access to the account after
the user joins another tenant.
"""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse

from apps.accounts.errors import ProviderSession
from apps.accounts.oidc.config import Provider
from apps.accounts.oidc.identities import may_vouch_for

SESSION_PROVIDER = "tenant_provider"
METHOD = "oidc:"


def store_provider(session: MutableMapping[str, Any], methods: Sequence[str]) -> None:
    """At sign-in: store the tenant's provider that opened the session. Providers of the platform are not stored."""
    session.pop(SESSION_PROVIDER, None)
    for method in methods:
        provider = _provider(method.removeprefix(METHOD)) if method.startswith(METHOD) else None
        if provider is not None and provider.tenant:
            session[SESSION_PROVIDER] = provider.slug


def require_own_session(session: MutableMapping[str, Any]) -> None:
    """Raise ProviderSession in a session that a tenant's provider opened."""
    if SESSION_PROVIDER in session:
        raise ProviderSession(
            message="You signed in with your tenant's identity provider. To change your sign-in methods, sign in with"
            " your password or passkey. If you have neither, reset your password."
        )


class ProviderSessionMiddleware:
    """Ends a session whose provider may no longer authenticate its user; checked on each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        slug = request.session.get(SESSION_PROVIDER)
        if slug is not None and request.user.is_authenticated:
            provider = _provider(slug)
            if provider is None or not may_vouch_for(provider, request.user):
                auth.logout(request)
        return self.get_response(request)


def _provider(slug: str) -> Provider | None:
    return next((p for p in settings.ISPVM_OIDC_PROVIDERS if p.slug == slug), None)
