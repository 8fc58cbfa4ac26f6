"""One sign-in at an identity provider: there with state, nonce and PKCE, and back with a code that becomes claims.

allauth builds the request, keeps the state in the session (each is good once) and exchanges the code. What it leaves
out is here: a nonce, the issuer of the answer, the token's signature whatever the channel, and the egress guard.
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
from apps.accounts.oidc.calls import provider_calls, require_answering, seconds_left
from apps.accounts.oidc.config import Provider
from apps.accounts.oidc.tokens import Asked, TokenRefused, UnknownKey, verify
from apps.core.errors import NotVisible
from apps.core.http.session import SessionError, guarded_session

log = structlog.get_logger(__name__)

#: What for: to sign in, to link the identity to who is signed in, to confirm who is signed in.
SIGN_IN, LINK, CONFIRM = "login", "connect", "confirm"


@dataclass(frozen=True)
class Returned:
    """Who came back from the provider, and what they had set out for."""

    claims: Mapping[str, Any]
    purpose: str
    next_url: str


class GuardedSocialAccounts(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Named by ``SOCIALACCOUNT_ADAPTER``: allauth's requests leave by the egress guard."""

    def get_requests_session(self) -> Any:
        return guarded_session(seconds_left)


class _Endpoints(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    def __init__(self, request: HttpRequest, provider: Provider) -> None:
        super().__init__(request, provider.slug)
        self.described = provider

    @property
    def openid_config(self) -> Mapping[str, Any]:
        return metadata.document_of(self.described)

    def get_provider(self) -> OpenIDConnectProvider:
        return _Described(self.request, self.described)

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:  # noqa: ARG002
        # From the operator's setting: what a Host header says decides nothing.
        back = reverse("accounts:provider-back", args=[self.described.slug])
        return f"{settings.ISPVM_PUBLIC_URL}{back}"


class _Described(OpenIDConnectProvider):  # type: ignore[misc]
    """A provider of the operator's settings, as allauth sees one."""

    def __init__(self, request: HttpRequest, provider: Provider) -> None:
        self.described = provider
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

    def get_oauth2_adapter(self, request: HttpRequest) -> _Endpoints:
        return _Endpoints(request, self.described)


def provider_of(slug: str) -> Provider:
    """The operator's provider of this id. Raises NotVisible."""
    for provider in settings.ISPVM_OIDC_PROVIDERS:
        if provider.slug == slug:
            return provider
    raise NotVisible


def set_out(
    request: HttpRequest, provider: Provider, *, purpose: str, next_url: str
) -> HttpResponse:
    """Send the browser to the provider. Raises ProviderUnavailable."""
    require_answering(provider)
    if not metadata.is_loaded(provider):
        with provider_calls(provider):
            metadata.load_document(provider)
    nonce = token_urlsafe(32)
    asked: dict[str, str] = {"nonce": nonce}
    if purpose == CONFIRM:
        asked |= {"prompt": "login", "max_age": "0"}
    answer: HttpResponse = _Described(request, provider).redirect(
        request,
        purpose,
        next_url=next_url,
        auth_params=dict(asked),
        nonce=nonce,
        set_out_at=time.time(),
        person=str(request.user.pk or ""),
    )
    return answer


def come_back(request: HttpRequest, provider: Provider) -> Returned:
    """Judge the answer that the browser brought. Raises IdentityRefused, ProviderUnavailable.

    The state is used up, whatever comes of it.
    """
    described = _Described(request, provider)
    try:
        state = described.unstash_redirect_state(request, request.GET.get("state", ""))
    except PermissionDenied as error:
        raise IdentityRefused(
            "state_unknown", "This sign-in was not begun here, or was ended already. Begin again."
        ) from error
    if state["person"] != str(request.user.pk or ""):
        raise IdentityRefused("person_changed", "Somebody else has signed in meanwhile.")
    asked = Asked(
        issuer=provider.issuer,
        client_id=provider.client_id,
        nonce=state["nonce"],
        proven_since=state["set_out_at"] if state["process"] == CONFIRM else None,
    )
    with provider_calls(provider, may_wait=True):
        metadata.load_document(provider)
        _check_answer(request, provider)
        tokens = _exchange(request, described, state["pkce_code_verifier"])
        claims = _claims_of(provider, tokens.get("id_token", ""), asked)
        if provider.provision and "email" not in claims:
            claims = {**_asked_more(described, tokens, claims["sub"]), **claims}
    return Returned(claims, state["process"], state.get("next", "/"))


def _claims_of(provider: Provider, token: str, asked: Asked) -> dict[str, Any]:
    keys = metadata.keys_of(provider)
    try:
        return verify(token, keys=keys, asked=asked)
    except UnknownKey:
        # The provider may have changed its keys since we read them, also under the same id.
        newer = metadata.keys_of(provider, again=True)
        if newer == keys:
            raise
        return verify(token, keys=newer, asked=asked)


def _check_answer(request: HttpRequest, provider: Provider) -> None:
    document = metadata.document_of(provider)
    says = request.GET.get("iss")
    must_say = document.get("authorization_response_iss_parameter_supported") is True
    if (says is not None or must_say) and says != provider.issuer:
        raise IdentityRefused("wrong_issuer", "The answer came from another identity provider.")
    if "error" in request.GET or not request.GET.get("code"):
        log.info("identity_provider_refused", provider=provider.slug)
        raise IdentityRefused("provider_refused", f"{provider.name} did not sign you in.")


def _exchange(request: HttpRequest, described: _Described, verifier: str) -> dict[str, Any]:
    endpoints = described.get_oauth2_adapter(request)
    client = endpoints.get_client(request, described.app)
    try:
        tokens: dict[str, Any] = endpoints.get_access_token_data(
            request, described.app, client, pkce_code_verifier=verifier
        )
    except OAuth2Error as error:
        raise IdentityRefused(
            "code_refused_by_provider", f"{described.name} did not accept the sign-in. Begin again."
        ) from error
    except (SessionError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("identity_provider_unreachable", provider=described.described.slug)
        raise ProviderUnavailable(message="The identity provider cannot be reached.") from error
    return tokens


def _asked_more(described: _Described, tokens: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """What the provider tells of the person beside the token, about this very person."""
    if "userinfo_endpoint" not in metadata.document_of(described.described):
        return {}
    endpoints = described.get_oauth2_adapter(described.request)
    try:
        told = endpoints._fetch_user_info(tokens["access_token"])  # noqa: SLF001  (allauth's one way)
    except (SessionError, ValueError, KeyError, RecursionError) as error:
        raise ProviderUnavailable(message="The identity provider cannot be reached.") from error
    if not isinstance(told, dict) or told.get("sub") != subject:
        raise TokenRefused(message="The provider told of another person.")
    return told
