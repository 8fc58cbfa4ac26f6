"""To identity providers and back: signing in, linking an identity, confirming who one is.

Outside every tenant (``TenantMiddleware``): providers are asked over the network.
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
from apps.accounts.attempts import Door, require_attempt
from apps.accounts.errors import (
    IdentityRefused,
    IdentityTaken,
    LastWayIn,
    ProviderUnavailable,
    SignInRefused,
    TooManyAttempts,
)
from apps.accounts.factor_policy import PROVIDER_METHOD
from apps.accounts.models import User
from apps.accounts.oidc import flow, people
from apps.accounts.oidc.config import Provider
from apps.accounts.oidc.provider_sessions import require_own_session
from apps.accounts.web.account import page_of
from apps.accounts.web.gate import fault_of, let_in, refuse, safe_next
from apps.accounts.web.views import GATE, gate_of, go_on
from apps.authorization.freshness import note_proof, require_fresh
from apps.core import clock
from apps.pages.decorators import fresh_sign_in

LINKING = "identity_linking"


@never_cache
@login_not_required
@require_GET
def set_out(request: HttpRequest, slug: str) -> HttpResponse:
    """Off to the provider, to come back as somebody."""
    provider = flow.provider_of(slug)
    next_url = safe_next(request, request.GET.get("next", "/"))
    purpose = flow.SIGN_IN
    if request.user.is_authenticated:
        # A link on a foreign page must not begin a linking: that was begun by a form of ours, a moment ago.
        is_linking = request.session.pop(LINKING, None) == slug
        purpose = flow.LINK if is_linking else flow.CONFIRM
        next_url = safe_next(request, request.GET.get("next", ""), otherwise="/account/")
    try:
        require_attempt(request, Door.PROVIDER, at=clock.now())
        return flow.set_out(request, provider, purpose=purpose, next_url=next_url)
    except (TooManyAttempts, ProviderUnavailable) as error:
        return refuse(request, GATE, error, gate_of(next_url))


@never_cache
@login_not_required
@require_GET
def come_back(request: HttpRequest, slug: str) -> HttpResponse:
    """Back with an answer. What it opens is what the browser set out for, and for whom."""
    provider = flow.provider_of(slug)
    now = clock.now()
    try:
        require_attempt(request, Door.PROVIDER, at=now)
        returned = flow.come_back(request, provider)
        if returned.purpose != flow.SIGN_IN:
            return _for_the_signed_in(request, provider, returned)
        user = people.person_of(provider, returned.claims, at=now)
        method = f"oidc:{slug}"
        if has_factor_said(returned.claims):
            method += f"+{PROVIDER_METHOD}"
        if provider.asks_second_factor:
            return go_on(request, user, method=method, next_url=returned.next_url)
        sign_in.complete(request, user, methods=[method], at=now)
        return let_in(request, user, returned.next_url)
    except (TooManyAttempts, ProviderUnavailable, IdentityTaken) as error:
        return _refuse(request, error)
    except (IdentityRefused, SignInRefused) as error:
        sign_in.note_failure(request, email="", method=f"oidc:{slug} {error.code}", at=now)
        return _refuse(request, error)


@never_cache
@fresh_sign_in
@require_POST
def begin_link(request: HttpRequest, slug: str) -> HttpResponse:
    """A page that leads to the provider: a form may not be led off our own host (Content Security Policy)."""
    require_own_session(request.session)
    provider = flow.provider_of(slug)
    request.session[LINKING] = slug
    return render(request, "accounts/leaving.html", {"provider": provider})


@fresh_sign_in
@require_POST
def unlink(request: HttpRequest, pk: int) -> HttpResponse:
    require_own_session(request.session)
    user = cast(User, request.user)
    try:
        people.unlink(user, get_object_or_404(SocialAccount, user=user, pk=pk), at=clock.now())
    except LastWayIn as error:
        return page_of(request, status=error.status, identity_fault=fault_of(error))
    return redirect("accounts:account")


def _for_the_signed_in(
    request: HttpRequest, provider: Provider, returned: flow.Returned
) -> HttpResponse:
    user, now = cast(User, request.user), clock.now()
    if returned.purpose == flow.LINK:
        require_own_session(request.session)
        require_fresh(request.session, now)
        people.link(user, provider, returned.claims, at=now)
    elif not people.is_of(user, provider, returned.claims):
        raise IdentityRefused("identity_of_another", "This identity is not linked to you.")
    else:
        note_proof(request.session, now)
    return HttpResponseRedirect(safe_next(request, returned.next_url, otherwise="/account/"))


def has_factor_said(claims: Mapping[str, Any]) -> bool:
    """Whether the provider says that the person showed more than one factor there (RFC 8176)."""
    methods = claims.get("amr")
    return isinstance(methods, list) and PROVIDER_METHOD in methods


def _refuse(
    request: HttpRequest,
    error: TooManyAttempts | ProviderUnavailable | IdentityTaken | IdentityRefused | SignInRefused,
) -> HttpResponse:
    if request.user.is_authenticated:
        seen = {"fault": fault_of(error), "code": error.code}
        return render(request, "accounts/identity_refused.html", seen, status=error.status)
    return refuse(request, GATE, error, gate_of("/"))
