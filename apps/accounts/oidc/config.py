"""The configuration of identity providers (ISPVM_OIDC_PROVIDERS). Imported by settings, so without Django."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.authorization.choices import Role

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MAX_ISSUER_LENGTH = 200
AUTH_METHODS = frozenset({"client_secret_basic", "client_secret_post"})

_KEYS = {
    *("id", "name", "issuer", "client_id", "client_secret_file"),
    *("token_auth_method", "scopes", "require_second_factor", "provision", "tenant"),
}
_RULE_KEYS = {"tenant", "role", "claim", "value"}


class ProvidersInvalid(ValueError):
    """The setting is invalid; the message names the key and the reason."""


@dataclass(frozen=True)
class Rule:
    """Unknown identities whose ``claim`` equals (or contains) ``value`` become members; without a claim, all do."""

    tenant: str
    role: Role
    claim: str = ""
    value: str = ""

    def matches(self, claims: Mapping[str, Any]) -> bool:
        if not self.claim:
            return True
        claim_value = claims.get(self.claim)
        return (
            self.value in claim_value
            if isinstance(claim_value, list)
            else claim_value == self.value
        )


@dataclass(frozen=True)
class Provider:
    """An identity provider. Users are identified by (issuer, subject), never by e-mail address."""

    slug: str
    name: str
    issuer: str
    client_id: str
    client_secret: str
    token_auth_method: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    #: Whether users who have a second factor here must show it after signing in at the provider.
    require_second_factor: bool = True
    provision: tuple[Rule, ...] = ()
    #: Slug of the tenant that runs it: it signs in that tenant's users only. Empty: a provider of the platform.
    tenant: str = ""


def read_providers(text: str) -> tuple[Provider, ...]:
    """The providers of a JSON list. Raises ProvidersInvalid."""
    if not text.strip():
        return ()
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ProvidersInvalid(f"is not JSON ({error}).") from error
    if not isinstance(entries, list):
        raise ProvidersInvalid("is not a list.")
    providers = tuple(_provider(entry, number) for number, entry in enumerate(entries))
    for what, values in (
        ("id", [p.slug for p in providers]),
        ("issuer", [p.issuer for p in providers]),
    ):
        if len(set(values)) != len(values):
            raise ProvidersInvalid(f"contains the same {what} twice.")
    return providers


def _provider(entry: Any, number: int) -> Provider:
    location = f"[{number}]"
    fields = _fields(entry, location, allowed=_KEYS, required=("id", "name", "issuer", "client_id"))
    slug, issuer = _string(fields, "id", location), _string(fields, "issuer", location)
    if not _SLUG.fullmatch(slug):
        raise ProvidersInvalid(
            f"{location}.id: {slug!r} is not lower-case letters, digits and dashes."
        )
    parts = urlsplit(issuer)
    if parts.scheme not in {"https", "http"} or not parts.netloc or parts.query or parts.fragment:
        raise ProvidersInvalid(
            f"{location}.issuer: {issuer!r} is not an address like https://host."
        )
    if len(issuer) > MAX_ISSUER_LENGTH:
        raise ProvidersInvalid(f"{location}.issuer: longer than {MAX_ISSUER_LENGTH} characters.")
    method = fields.get("token_auth_method", "")
    if method and method not in AUTH_METHODS:
        raise ProvidersInvalid(f"{location}.token_auth_method: {method!r} is not known.")
    asks = fields.get("require_second_factor", True)
    if not isinstance(asks, bool):
        raise ProvidersInvalid(f"{location}.require_second_factor: must be true or false.")
    tenant = _string(fields, "tenant", location) if "tenant" in fields else ""
    rules = _list(fields.get("provision", []), f"{location}.provision", _rule)
    if tenant and (foreign := [rule.tenant for rule in rules if rule.tenant != tenant]):
        raise ProvidersInvalid(
            f"{location}.provision: a provider of tenant {tenant!r} cannot add members to {foreign[0]!r}."
        )
    return Provider(
        slug=slug,
        name=_string(fields, "name", location)[:40],
        issuer=issuer,
        client_id=_string(fields, "client_id", location),
        client_secret=_secret(fields, location),
        token_auth_method=method,
        scopes=(
            "openid",
            *_strings(fields.get("scopes", ["profile", "email"]), f"{location}.scopes"),
        ),
        require_second_factor=asks,
        provision=rules,
        tenant=tenant,
    )


def _rule(entry: Any, location: str) -> Rule:
    fields = _fields(entry, location, allowed=_RULE_KEYS, required=("tenant", "role"))
    role = _string(fields, "role", location)
    if role not in Role.values:
        raise ProvidersInvalid(f"{location}.role: {role!r} is not one of {', '.join(Role.values)}.")
    if ("claim" in fields) != ("value" in fields):
        raise ProvidersInvalid(f"{location}: claim and value belong together.")
    claim = _string(fields, "claim", location) if "claim" in fields else ""
    value = _string(fields, "value", location) if "value" in fields else ""
    return Rule(_string(fields, "tenant", location), Role(role), claim, value)


def _fields(
    entry: Any, location: str, *, allowed: set[str], required: tuple[str, ...]
) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ProvidersInvalid(f"{location} is not an object.")
    if unknown := sorted(entry.keys() - allowed):
        raise ProvidersInvalid(f"{location} has an unknown key {unknown[0]!r}.")
    if missing := [name for name in required if name not in entry]:
        raise ProvidersInvalid(f"{location} is missing the key {missing[0]!r}.")
    return entry


def _string(fields: Mapping[str, Any], name: str, location: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value.strip():
        raise ProvidersInvalid(f"{location}.{name} is not a string.")
    return value


def _strings(value: Any, location: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ProvidersInvalid(f"{location} is not a list of strings.")
    return [part for part in value if part != "openid"]


def _list(value: Any, location: str, read: Callable[[Any, str], Rule]) -> tuple[Rule, ...]:
    if not isinstance(value, list):
        raise ProvidersInvalid(f"{location} is not a list.")
    return tuple(read(entry, f"{location}[{number}]") for number, entry in enumerate(value))


def _secret(fields: Mapping[str, Any], location: str) -> str:
    """From a file only: environment variables are visible to other processes and in dumps."""
    if "client_secret_file" not in fields:
        return ""  # a public client: PKCE alone
    path = Path(_string(fields, "client_secret_file", location))
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProvidersInvalid(f"{location}.client_secret_file: cannot read {path}.") from error
