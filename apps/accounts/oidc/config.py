"""What the operator says of identity providers. Pure: settings read it before Django is there."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.authorization.choices import Role

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MOST_ISSUER = 200
AUTH_METHODS = frozenset({"client_secret_basic", "client_secret_post"})

_KEYS = {
    *("id", "name", "issuer", "client_id", "client_secret_file"),
    *("token_auth_method", "scopes", "asks_second_factor", "provision", "tenant"),
}
_RULE_KEYS = {"tenant", "role", "claim", "value"}


class ProvidersInvalid(ValueError):
    """The setting cannot be used; the text says where and why."""


@dataclass(frozen=True)
class Rule:
    """Somebody unknown whose ``claim`` is (or holds) ``value`` becomes a member; without a claim, everybody does."""

    tenant: str
    role: Role
    claim: str = ""
    value: str = ""

    def holds_for(self, claims: Mapping[str, Any]) -> bool:
        if not self.claim:
            return True
        said = claims.get(self.claim)
        return self.value in said if isinstance(said, list) else said == self.value


@dataclass(frozen=True)
class Provider:
    """An identity provider. People are known by (issuer, subject); its e-mail addresses link nobody."""

    slug: str
    name: str
    issuer: str
    client_id: str
    client_secret: str
    token_auth_method: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    #: Whether a second factor that the person has here is asked after it.
    asks_second_factor: bool = True
    provision: tuple[Rule, ...] = ()
    #: The slug of the tenant that runs it: it speaks for that tenant's people only. Empty: the platform's own.
    tenant: str = ""


def read_providers(text: str) -> tuple[Provider, ...]:
    """The providers of a JSON list. Raises ProvidersInvalid."""
    if not text.strip():
        return ()
    try:
        listed = json.loads(text)
    except ValueError as error:
        raise ProvidersInvalid(f"is not JSON ({error}).") from error
    if not isinstance(listed, list):
        raise ProvidersInvalid("is not a list.")
    made = tuple(_provider(entry, number) for number, entry in enumerate(listed))
    for what, values in (("id", [p.slug for p in made]), ("issuer", [p.issuer for p in made])):
        if len(set(values)) != len(values):
            raise ProvidersInvalid(f"names one {what} twice.")
    return made


def _provider(entry: Any, number: int) -> Provider:
    where = f"[{number}]"
    fields = _fields(entry, where, known=_KEYS, needed=("id", "name", "issuer", "client_id"))
    slug, issuer = _text(fields, "id", where), _text(fields, "issuer", where)
    if not _SLUG.fullmatch(slug):
        raise ProvidersInvalid(
            f"{where}.id: {slug!r} is not lower-case letters, digits and dashes."
        )
    parts = urlsplit(issuer)
    if parts.scheme not in {"https", "http"} or not parts.netloc or parts.query or parts.fragment:
        raise ProvidersInvalid(f"{where}.issuer: {issuer!r} is not an address like https://host.")
    if len(issuer) > MOST_ISSUER:
        raise ProvidersInvalid(f"{where}.issuer: longer than {MOST_ISSUER} characters.")
    method = fields.get("token_auth_method", "")
    if method and method not in AUTH_METHODS:
        raise ProvidersInvalid(f"{where}.token_auth_method: {method!r} is not known.")
    asks = fields.get("asks_second_factor", True)
    if not isinstance(asks, bool):
        raise ProvidersInvalid(f"{where}.asks_second_factor: neither true nor false.")
    tenant = _text(fields, "tenant", where) if "tenant" in fields else ""
    rules = _many(fields.get("provision", []), f"{where}.provision", _rule)
    if tenant and (foreign := [rule.tenant for rule in rules if rule.tenant != tenant]):
        raise ProvidersInvalid(
            f"{where}.provision: a provider of tenant {tenant!r} makes no members of {foreign[0]!r}."
        )
    return Provider(
        slug=slug,
        name=_text(fields, "name", where)[:40],
        issuer=issuer,
        client_id=_text(fields, "client_id", where),
        client_secret=_secret(fields, where),
        token_auth_method=method,
        scopes=("openid", *_texts(fields.get("scopes", ["profile", "email"]), f"{where}.scopes")),
        asks_second_factor=asks,
        provision=rules,
        tenant=tenant,
    )


def _rule(entry: Any, where: str) -> Rule:
    fields = _fields(entry, where, known=_RULE_KEYS, needed=("tenant", "role"))
    role = _text(fields, "role", where)
    if role not in Role.values:
        raise ProvidersInvalid(f"{where}.role: {role!r} is not one of {', '.join(Role.values)}.")
    if ("claim" in fields) != ("value" in fields):
        raise ProvidersInvalid(f"{where}: claim and value belong together.")
    claim = _text(fields, "claim", where) if "claim" in fields else ""
    value = _text(fields, "value", where) if "value" in fields else ""
    return Rule(_text(fields, "tenant", where), Role(role), claim, value)


def _fields(entry: Any, where: str, *, known: set[str], needed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ProvidersInvalid(f"{where} is not an object.")
    if strange := sorted(entry.keys() - known):
        raise ProvidersInvalid(f"{where} has an unknown key {strange[0]!r}.")
    if missing := [name for name in needed if name not in entry]:
        raise ProvidersInvalid(f"{where} lacks {missing[0]!r}.")
    return entry


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value.strip():
        raise ProvidersInvalid(f"{where}.{name} is not a text.")
    return value


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ProvidersInvalid(f"{where} is not a list of texts.")
    return [part for part in value if part != "openid"]


def _many(value: Any, where: str, read: Callable[[Any, str], Rule]) -> tuple[Rule, ...]:
    if not isinstance(value, list):
        raise ProvidersInvalid(f"{where} is not a list.")
    return tuple(read(entry, f"{where}[{number}]") for number, entry in enumerate(value))


def _secret(fields: Mapping[str, Any], where: str) -> str:
    """By file only: what stands in an environment is read by too many."""
    if "client_secret_file" not in fields:
        return ""  # a public client: PKCE alone
    path = Path(_text(fields, "client_secret_file", where))
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProvidersInvalid(f"{where}.client_secret_file: cannot read {path}.") from error
