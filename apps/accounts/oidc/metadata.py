"""A provider's discovery document and signing keys, fetched through the egress guard and cached."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import structlog

from apps.accounts.errors import ProviderUnavailable
from apps.accounts.oidc.calls import seconds_left
from apps.accounts.oidc.config import Provider
from apps.core.http import EgressClient, EgressError, Request, policy_of_installation

log = structlog.get_logger(__name__)

CACHE_SECONDS = 3600
#: Least time between refreshes of the keys: tokens with unknown key ids must not cause a request each.
REFRESH_INTERVAL_SECONDS = 10
WELL_KNOWN = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass
class _Cached:
    document: dict[str, Any]
    fetched_at: float
    keys: list[dict[str, Any]] = field(default_factory=list)
    keys_fetched_at: float = 0
    refreshed_at: float = 0


_cache: dict[str, _Cached] = {}
_lock = threading.Lock()


def document_of(provider: Provider) -> Mapping[str, Any]:
    """The discovery document that was loaded. Raises ProviderUnavailable before it is."""
    return _cached(provider).document


def is_loaded(provider: Provider) -> bool:
    """Whether the discovery document is cached and not expired."""
    with _lock:
        cached = _cache.get(provider.issuer)
    return cached is not None and time.monotonic() - cached.fetched_at <= CACHE_SECONDS


def load_document(provider: Provider) -> None:
    """Fetch the discovery document unless it is cached. Call inside ``provider_calls``. Raises ProviderUnavailable."""
    if is_loaded(provider):
        return
    document = _validate(provider, _fetch(provider.issuer.rstrip("/") + WELL_KNOWN))
    with _lock:
        _cache[provider.issuer] = _Cached(document, time.monotonic())


def keys_of(provider: Provider, *, refresh: bool = False) -> list[dict[str, Any]]:
    """The provider's signing keys; ``refresh`` when none of the cached ones matched. Raises ProviderUnavailable."""
    cached = _cached(provider)
    now = time.monotonic()
    with _lock:
        is_expired = not cached.keys_fetched_at or now - cached.keys_fetched_at > CACHE_SECONDS
        may_refresh = (
            not cached.refreshed_at or now - cached.refreshed_at > REFRESH_INTERVAL_SECONDS
        )
        if not is_expired and not (refresh and may_refresh):
            return cached.keys
        if refresh:
            cached.refreshed_at = now
    published = _fetch(cached.document["jwks_uri"]).get("keys")
    if not isinstance(published, list):
        raise ProviderUnavailable(message="The identity provider publishes no keys.")
    keys = [key for key in published if isinstance(key, dict)]
    with _lock:
        cached.keys, cached.keys_fetched_at = keys, now
    return keys


def clear_cache() -> None:
    """Fetch everything again at the next use."""
    with _lock:
        _cache.clear()


def _cached(provider: Provider) -> _Cached:
    with _lock:
        cached = _cache.get(provider.issuer)
    if cached is None:
        raise ProviderUnavailable(message="The identity provider is not loaded yet. Start over.")
    return cached


def _validate(provider: Provider, document: dict[str, Any]) -> dict[str, Any]:
    """The document. Raises ProviderUnavailable for one of another issuer, or one with endpoints that are not HTTPS."""
    if document.get("issuer") != provider.issuer:
        raise ProviderUnavailable(message="The identity provider reports a different issuer.")
    issuer_scheme = urlsplit(provider.issuer).scheme
    for name in ENDPOINTS:
        url = document.get(name)
        if not isinstance(url, str) or urlsplit(url).scheme not in {"https", issuer_scheme}:
            raise ProviderUnavailable(message=f"The identity provider has no usable {name}.")
    return document


def _fetch(url: str) -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    try:
        client = EgressClient(policy_of_installation(), total_seconds=seconds_left())
        response = client.send(Request("GET", url, headers))
    except EgressError as error:
        log.warning("identity_provider_unreachable", url=url, code=error.code)
        raise ProviderUnavailable(message="The identity provider cannot be reached.") from error
    try:
        document = json.loads(response.body) if response.status == HTTPStatus.OK else None
    except (ValueError, RecursionError):  # not JSON, or truncated
        document = None
    if not isinstance(document, dict):
        log.warning("identity_provider_unreadable", url=url, status=response.status)
        raise ProviderUnavailable(message="The identity provider sent an invalid response.")
    return document
