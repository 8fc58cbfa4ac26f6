"""What a provider says of itself: discovery and signing keys, read through the egress guard and kept for a while."""

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

KEPT_SECONDS = 3600
#: So that tokens with invented key ids cannot make us ask without end.
ASKED_AGAIN_SECONDS = 10
WELL_KNOWN = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass
class _Known:
    document: dict[str, Any]
    read_at: float
    keys: list[dict[str, Any]] = field(default_factory=list)
    keys_read_at: float = 0
    asked_again_at: float = 0


_known: dict[str, _Known] = {}
_lock = threading.Lock()


def document_of(provider: Provider) -> Mapping[str, Any]:
    """The discovery document that was loaded. Raises ProviderUnavailable before it is."""
    return _known_of(provider).document


def is_loaded(provider: Provider) -> bool:
    """Whether the discovery document is known and not old."""
    with _lock:
        known = _known.get(provider.issuer)
    return known is not None and time.monotonic() - known.read_at <= KEPT_SECONDS


def load_document(provider: Provider) -> None:
    """Read the discovery document unless it is known and not old. Inside ``provider_calls``. Raises
    ProviderUnavailable."""
    if is_loaded(provider):
        return
    document = _checked(provider, _read(provider.issuer.rstrip("/") + WELL_KNOWN))
    with _lock:
        _known[provider.issuer] = _Known(document, time.monotonic())


def keys_of(provider: Provider, *, again: bool = False) -> list[dict[str, Any]]:
    """The provider's signing keys; ``again`` when none of them fitted. Raises ProviderUnavailable."""
    known = _known_of(provider)
    now = time.monotonic()
    with _lock:
        is_old = not known.keys_read_at or now - known.keys_read_at > KEPT_SECONDS
        may_ask = not known.asked_again_at or now - known.asked_again_at > ASKED_AGAIN_SECONDS
        if not is_old and not (again and may_ask):
            return known.keys
        if again:
            known.asked_again_at = now
    found = _read(known.document["jwks_uri"]).get("keys")
    if not isinstance(found, list):
        raise ProviderUnavailable(message="The identity provider publishes no keys.")
    keys = [key for key in found if isinstance(key, dict)]
    with _lock:
        known.keys, known.keys_read_at = keys, now
    return keys


def forget() -> None:
    """Read everything anew."""
    with _lock:
        _known.clear()


def _known_of(provider: Provider) -> _Known:
    with _lock:
        known = _known.get(provider.issuer)
    if known is None:
        raise ProviderUnavailable(message="The identity provider was not called yet. Begin again.")
    return known


def _checked(provider: Provider, document: dict[str, Any]) -> dict[str, Any]:
    """Whoever answers for another issuer, or leads off https, is not believed."""
    if document.get("issuer") != provider.issuer:
        raise ProviderUnavailable(message="The identity provider calls itself something else.")
    wanted = urlsplit(provider.issuer).scheme
    for name in ENDPOINTS:
        url = document.get(name)
        if not isinstance(url, str) or urlsplit(url).scheme not in {"https", wanted}:
            raise ProviderUnavailable(message=f"The identity provider names no usable {name}.")
    return document


def _read(url: str) -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    try:
        client = EgressClient(policy_of_installation(), total_seconds=seconds_left())
        answer = client.send(Request("GET", url, headers))
    except EgressError as error:
        log.warning("identity_provider_unreachable", url=url, code=error.code)
        raise ProviderUnavailable(message="The identity provider cannot be reached.") from error
    try:
        read = json.loads(answer.body) if answer.status == HTTPStatus.OK else None
    except (ValueError, RecursionError):  # not JSON, or cut off
        read = None
    if not isinstance(read, dict):
        log.warning("identity_provider_unreadable", url=url, status=answer.status)
        raise ProviderUnavailable(message="The identity provider does not answer as it should.")
    return read
