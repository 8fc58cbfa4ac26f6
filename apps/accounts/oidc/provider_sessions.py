"""Sessions that a tenant's identity provider opened: good only as long as it may speak for the person.

Nothing that outlasts its word is made in them: whoever runs the provider could otherwise give themselves a way in that
stays when the person works for another tenant too.
"""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse

from apps.accounts.errors import ProviderSession
from apps.accounts.oidc.config import Provider
from apps.accounts.oidc.people import speaks_for

SESSION_PROVIDER = "tenant_provider"
METHOD = "oidc:"


def note_provider(session: MutableMapping[str, Any], methods: Sequence[str]) -> None:
    """At sign-in: remember a tenant's provider that opened the session. The platform's own are not remembered."""
    session.pop(SESSION_PROVIDER, None)
    for method in methods:
        provider = _provider(method.removeprefix(METHOD)) if method.startswith(METHOD) else None
        if provider is not None and provider.tenant:
            session[SESSION_PROVIDER] = provider.slug


def require_own_session(session: MutableMapping[str, Any]) -> None:
    """Raise ProviderSession in a session that a tenant's provider opened."""
    if SESSION_PROVIDER in session:
        raise ProviderSession(
            message="You signed in by your tenant's identity provider. Sign in with your password or passkey to"
            " change how you sign in; without one, have your password reset."
        )


class ProviderSessionMiddleware:
    """Ends a session whose provider may not speak for its person any more: it is asked on each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        slug = request.session.get(SESSION_PROVIDER)
        if slug is not None and request.user.is_authenticated:
            provider = _provider(slug)
            if provider is None or not speaks_for(provider, request.user):
                auth.logout(request)
        return self.get_response(request)


def _provider(slug: str) -> Provider | None:
    return next((p for p in settings.ISPVM_OIDC_PROVIDERS if p.slug == slug), None)
