"""OpenID Connect login: redirect to the provider with state, nonce and PKCE, and exchange the code on the callback.

allauth builds the request, stores the state in the session (each is accepted once) and exchanges the code. Added here:
a nonce, the check of the response's issuer (RFC 9207) and of the token's signature, and the egress guard.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

import structlog
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from apps.accounts.errors import IdentityRefused, ProviderUnavailable
from apps.accounts.oidc import metadata
from apps.accounts.oidc.calls import provider_calls, require_available, seconds_left
from apps.accounts.oidc.config import Provider
from apps.accounts.oidc.tokens import ExpectedToken, TokenRefused, UnknownKey, verify
from apps.core.errors import NotVisible
from apps.core.http.session import SessionError, guarded_session

log = structlog.get_logger(__name__)

#: Purposes of a login: sign in, link the identity to the signed-in user, confirm the signed-in user.
SIGN_IN, LINK, CONFIRM = "login", "connect", "confirm"


@dataclass(frozen=True)
class LoginResult:
    """Claims of a completed login, and its purpose."""

    claims: Mapping[str, Any]
    purpose: str
    next_url: str


class GuardedSocialAccounts(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Set as ``SOCIALACCOUNT_ADAPTER``: sends allauth's requests through the egress guard."""

    def get_requests_session(self) -> Any:
        return guarded_session(seconds_left)


class _AllauthAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    def __init__(self, request: HttpRequest, provider: Provider) -> None:
        super().__init__(request, provider.slug)
        self.config = provider

    @property
    def openid_config(self) -> Mapping[str, Any]:
        return metadata.document_of(self.config)

    def get_provider(self) -> OpenIDConnectProvider:
        return _AllauthProvider(self.request, self.config)

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:  # noqa: ARG002
        # From ISPVM_PUBLIC_URL, not from the Host header.
        path = reverse("accounts:provider-callback", args=[self.config.slug])
        return f"{settings.ISPVM_PUBLIC_URL}{path}"


class _AllauthProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """A provider of ISPVM_OIDC_PROVIDERS as an allauth provider."""

    def __init__(self, request: HttpRequest, provider: Provider) -> None:
        self.config = provider
        app = SocialApp(
            provider=self.id,
            provider_id=provider.slug,
            name=provider.name,
            client_id=provider.client_id,
            secret=provider.client_secret,
            settings={
                "server_url": provider.issuer,
                "oauth_pkce_enabled": True,
                "scope": list(provider.scopes),
                **(
                    {"token_auth_method": provider.token_auth_method}
                    if provider.token_auth_method
                    else {}
                ),
            },
        )
        super().__init__(request, app=app)

    def get_oauth2_adapter(self, request: HttpRequest) -> _AllauthAdapter:
        return _AllauthAdapter(request, self.config)


def provider_of(slug: str) -> Provider:
    """The configured provider with this id. Raises NotVisible."""
    for provider in settings.ISPVM_OIDC_PROVIDERS:
        if provider.slug == slug:
            return provider
    raise NotVisible


def begin_login(
    request: HttpRequest, provider: Provider, *, purpose: str, next_url: str
) -> HttpResponse:
    """Redirect the browser to the provider. Raises ProviderUnavailable."""
    require_available(provider)
    if not metadata.is_loaded(provider):
        with provider_calls(provider):
            metadata.load_document(provider)
    nonce = token_urlsafe(32)
    params: dict[str, str] = {"nonce": nonce}
    if purpose == CONFIRM:
        params |= {"prompt": "login", "max_age": "0"}
    response: HttpResponse = _AllauthProvider(request, provider).redirect(
        request,
        purpose,
        next_url=next_url,
        auth_params=dict(params),
        nonce=nonce,
        begun_at=time.time(),
        user_id=str(request.user.pk or ""),
    )
    return response


def handle_callback(request: HttpRequest, provider: Provider) -> LoginResult:
    """Validate the provider's response. Raises IdentityRefused, ProviderUnavailable.

    The state is consumed in any case.
    """
    allauth_provider = _AllauthProvider(request, provider)
    try:
        state = allauth_provider.unstash_redirect_state(request, request.GET.get("state", ""))
    except PermissionDenied as error:
        raise IdentityRefused(
            "state_unknown", "This sign-in was not started here or has ended. Start over."
        ) from error
    if state["user_id"] != str(request.user.pk or ""):
        raise IdentityRefused("user_changed", "Another user has signed in in the meantime.")
    expected = ExpectedToken(
        issuer=provider.issuer,
        client_id=provider.client_id,
        nonce=state["nonce"],
        authenticated_since=state["begun_at"] if state["process"] == CONFIRM else None,
    )
    with provider_calls(provider, may_wait=True):
        metadata.load_document(provider)
        _check_response(request, provider)
        tokens = _exchange_code(request, allauth_provider, state["pkce_code_verifier"])
        claims = _claims_of(provider, tokens.get("id_token", ""), expected)
        if provider.provision and "email" not in claims:
            claims = {**_fetch_user_info(allauth_provider, tokens, claims["sub"]), **claims}
    return LoginResult(claims, state["process"], state.get("next", "/"))


def _claims_of(provider: Provider, token: str, expected: ExpectedToken) -> dict[str, Any]:
    keys = metadata.keys_of(provider)
    try:
        return verify(token, keys=keys, expected=expected)
    except UnknownKey:
        # The provider may have rotated its keys, possibly under the same id.
        newer = metadata.keys_of(provider, refresh=True)
        if newer == keys:
            raise
        return verify(token, keys=newer, expected=expected)


def _check_response(request: HttpRequest, provider: Provider) -> None:
    document = metadata.document_of(provider)
    issuer = request.GET.get("iss")
    is_required = document.get("authorization_response_iss_parameter_supported") is True
    if (issuer is not None or is_required) and issuer != provider.issuer:
        raise IdentityRefused("wrong_issuer", "The response came from another identity provider.")
    if "error" in request.GET or not request.GET.get("code"):
        log.info("identity_provider_refused", provider=provider.slug)
        raise IdentityRefused("provider_refused", f"{provider.name} did not sign you in.")


def _exchange_code(
    request: HttpRequest, allauth_provider: _AllauthProvider, verifier: str
) -> dict[str, Any]:
    adapter = allauth_provider.get_oauth2_adapter(request)
    client = adapter.get_client(request, allauth_provider.app)
    try:
        tokens: dict[str, Any] = adapter.get_access_token_data(
            request, allauth_provider.app, client, pkce_code_verifier=verifier
        )
    except OAuth2Error as error:
        raise IdentityRefused(
            "code_refused_by_provider",
            f"{allauth_provider.name} did not accept the sign-in. Start over.",
        ) from error
    except (SessionError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("identity_provider_unreachable", provider=allauth_provider.config.slug)
        raise ProviderUnavailable(message="The identity provider cannot be reached.") from error
    return tokens


def _fetch_user_info(
    allauth_provider: _AllauthProvider, tokens: Mapping[str, Any], subject: str
) -> dict[str, Any]:
    """Claims of the UserInfo endpoint, for the same subject as the ID token."""
    if "userinfo_endpoint" not in metadata.document_of(allauth_provider.config):
        return {}
    adapter = allauth_provider.get_oauth2_adapter(allauth_provider.request)
    try:
        user_info = adapter._fetch_user_info(tokens["access_token"])  # noqa: SLF001  (allauth has no public method)
    except (SessionError, ValueError, KeyError, RecursionError) as error:
        raise ProviderUnavailable(message="The identity provider cannot be reached.") from error
    if not isinstance(user_info, dict) or user_info.get("sub") != subject:
        raise TokenRefused(message="The UserInfo response is about another subject.")
    return user_info
