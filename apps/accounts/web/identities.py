"""Sign-in by identity providers: signing in, linking an identity, confirming the sign-in.

Outside every tenant (``TenantMiddleware``): no transaction is held open during calls to a provider.
"""

from collections.abc import Mapping
from typing import Any, cast

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.accounts import sign_in
from apps.accounts.attempts import AttemptKind, require_attempt
from apps.accounts.errors import (
    IdentityRefused,
    IdentityTaken,
    LastSignInMethod,
    ProviderUnavailable,
    SignInRefused,
    TooManyAttempts,
)
from apps.accounts.factor_policy import PROVIDER_METHOD
from apps.accounts.models import User
from apps.accounts.oidc import flow
from apps.accounts.oidc import identities as provider_identities
from apps.accounts.oidc.config import Provider
from apps.accounts.oidc.provider_sessions import require_own_session
from apps.accounts.web.account import render_account
from apps.accounts.web.responses import error_text, redirect_signed_in, render_error, safe_next
from apps.accounts.web.sign_in import SIGN_IN_PAGE, continue_sign_in, sign_in_context
from apps.authorization.freshness import record_authentication, require_fresh
from apps.core import clock
from apps.pages.decorators import fresh_sign_in

#: Session key: the provider that the user is linking.
LINKING = "identity_linking"


@never_cache
@login_not_required
@require_GET
def begin_login(request: HttpRequest, slug: str) -> HttpResponse:
    """Redirect to the provider."""
    provider = flow.provider_of(slug)
    next_url = safe_next(request, request.GET.get("next", "/"))
    purpose = flow.SIGN_IN
    if request.user.is_authenticated:
        # Linking starts only from our own form (``begin_link``), never from a link on another site.
        is_linking = request.session.pop(LINKING, None) == slug
        purpose = flow.LINK if is_linking else flow.CONFIRM
        next_url = safe_next(request, request.GET.get("next", ""), default="/account/")
    try:
        require_attempt(request, AttemptKind.PROVIDER, at=clock.now())
        return flow.begin_login(request, provider, purpose=purpose, next_url=next_url)
    except (TooManyAttempts, ProviderUnavailable) as error:
        return render_error(request, SIGN_IN_PAGE, error, sign_in_context(next_url))


@never_cache
@login_not_required
@require_GET
def handle_callback(request: HttpRequest, slug: str) -> HttpResponse:
    """The provider's redirect back. What it completes was fixed when the login began, and for which user."""
    provider = flow.provider_of(slug)
    now = clock.now()
    try:
        require_attempt(request, AttemptKind.PROVIDER, at=now)
        result = flow.handle_callback(request, provider)
        if result.purpose != flow.SIGN_IN:
            return _link_or_confirm(request, provider, result)
        user = provider_identities.user_for_identity(provider, result.claims, at=now)
        method = f"oidc:{slug}"
        if reports_second_factor(result.claims):
            method += f"+{PROVIDER_METHOD}"
        if provider.require_second_factor:
            return continue_sign_in(request, user, method=method, next_url=result.next_url)
        sign_in.complete(request, user, methods=[method], at=now)
        return redirect_signed_in(request, user, result.next_url)
    except (TooManyAttempts, ProviderUnavailable, IdentityTaken) as error:
        return _refuse(request, error)
    except (IdentityRefused, SignInRefused) as error:
        sign_in.record_failure(request, email="", method=f"oidc:{slug} {error.code}", at=now)
        return _refuse(request, error)


@never_cache
@fresh_sign_in
@require_POST
def begin_link(request: HttpRequest, slug: str) -> HttpResponse:
    """A page that redirects to the provider: the Content Security Policy forbids forms to redirect to other hosts."""
    require_own_session(request.session)
    provider = flow.provider_of(slug)
    request.session[LINKING] = slug
    return render(request, "accounts/provider_redirect.html", {"provider": provider})


@fresh_sign_in
@require_POST
def unlink(request: HttpRequest, pk: int) -> HttpResponse:
    require_own_session(request.session)
    user = cast(User, request.user)
    try:
        provider_identities.unlink(
            user, get_object_or_404(SocialAccount, user=user, pk=pk), at=clock.now()
        )
    except LastSignInMethod as error:
        return render_account(request, status=error.status, identity_error=error_text(error))
    return redirect("accounts:account")


def _link_or_confirm(
    request: HttpRequest, provider: Provider, result: flow.LoginResult
) -> HttpResponse:
    user, now = cast(User, request.user), clock.now()
    if result.purpose == flow.LINK:
        require_own_session(request.session)
        require_fresh(request.session, now)
        provider_identities.link(user, provider, result.claims, at=now)
    elif not provider_identities.is_linked_to(user, provider, result.claims):
        raise IdentityRefused("identity_of_another", "This identity is not linked to you.")
    else:
        record_authentication(request.session, now)
    return HttpResponseRedirect(safe_next(request, result.next_url, default="/account/"))


def reports_second_factor(claims: Mapping[str, Any]) -> bool:
    """Whether the provider reports a sign-in with more than one factor (``amr``, RFC 8176)."""
    methods = claims.get("amr")
    return isinstance(methods, list) and PROVIDER_METHOD in methods


def _refuse(
    request: HttpRequest,
    error: TooManyAttempts | ProviderUnavailable | IdentityTaken | IdentityRefused | SignInRefused,
) -> HttpResponse:
    if request.user.is_authenticated:
        context = {"error": error_text(error), "code": error.code}
        return render(request, "accounts/identity_refused.html", context, status=error.status)
    return render_error(request, SIGN_IN_PAGE, error, sign_in_context("/"))
