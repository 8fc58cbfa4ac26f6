"""Fields and validation of each credential kind. Pure; secrets are not stored here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from apps.vault.choices import CredentialKind

#: RFC 3414: the minimum for a localized key.
SNMP_PASSWORD_MIN_LENGTH = 8
SNMP_USERNAME_MAX_LENGTH = 32


@dataclass(frozen=True)
class KindSpec:
    """The fields of a kind: names of its secrets, allowed values of its options (empty: free text)."""

    secrets: tuple[str, ...]
    #: The secret that the generic field ``secret`` sets.
    main_secret: str
    has_username: bool = True
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


KIND_SPECS: Mapping[str, KindSpec] = MappingProxyType(
    {
        CredentialKind.ROUTEROS_API: KindSpec(("password",), "password"),
        CredentialKind.SNMP_V2C: KindSpec(("community",), "community", has_username=False),
        CredentialKind.SNMP_V3: KindSpec(
            ("auth_password", "priv_password"),
            "auth_password",
            options={
                "auth_protocol": ("none", "md5", "sha", "sha256", "sha512"),
                "priv_protocol": ("none", "des", "aes", "aes256"),
            },
        ),
        CredentialKind.SSH: KindSpec(("password", "private_key", "passphrase"), "password"),
        CredentialKind.WEBHOOK: KindSpec(
            ("password", "token"),
            "token",
            options={"scheme": ("basic", "bearer", "header"), "header_name": ()},
        ),
    }
)

SECRET_NAMES = tuple(dict.fromkeys(name for spec in KIND_SPECS.values() for name in spec.secrets))


def credential_errors(
    kind: str, *, username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    """Validation errors by field; empty when the set is valid."""
    spec = KIND_SPECS[kind]
    errors = {name: "This kind has no such secret." for name in secrets if name not in spec.secrets}
    errors |= {
        f"options.{name}": "This kind has no such option."
        for name in options
        if name not in spec.options
    }
    for name, allowed in spec.options.items():
        if allowed and name in options and options[name] not in allowed:
            errors[f"options.{name}"] = f"One of: {', '.join(allowed)}."
    if errors:
        return errors
    if not spec.has_username and username:
        return {"username": "This kind has no username."}
    errors |= _RULES[CredentialKind(kind)](username, options, secrets)
    return errors


def _require_secrets(names: tuple[str, ...], secrets: Mapping[str, str]) -> dict[str, str]:
    return {
        name: "This field is required for this kind." for name in names if not secrets.get(name)
    }


def _require_username(username: str) -> dict[str, str]:
    return {} if username else {"username": "This field is required for this kind."}


def _routeros(
    username: str, _options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    return _require_username(username) | _require_secrets(("password",), secrets)


def _snmp_v2c(
    _username: str, _options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    return _require_secrets(("community",), secrets)


def _snmp_v3(
    username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    errors = _require_username(username)
    if len(username) > SNMP_USERNAME_MAX_LENGTH:
        errors["username"] = f"At most {SNMP_USERNAME_MAX_LENGTH} characters."
    required = {
        "auth_password": options.get("auth_protocol", "none") != "none",
        "priv_password": options.get("priv_protocol", "none") != "none",
    }
    if required["priv_password"] and not required["auth_password"]:
        errors["options.priv_protocol"] = "SNMPv3 needs authentication for encryption."
    for name, is_required in required.items():
        value = secrets.get(name, "")
        if is_required and len(value) < SNMP_PASSWORD_MIN_LENGTH:
            errors[name] = f"At least {SNMP_PASSWORD_MIN_LENGTH} characters."
        elif value and not is_required:
            errors[name] = "Its protocol is set to none."
    return errors


def _ssh(username: str, _options: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    errors = _require_username(username)
    key = secrets.get("private_key", "")
    if not key and not secrets.get("password"):
        errors["password"] = "A password or a private key is required."  # noqa: S105  (an error text, not a password)
    if key and not ("-----BEGIN " in key and "PRIVATE KEY-----" in key):
        errors["private_key"] = "Not a private key in PEM or OpenSSH format."
    if secrets.get("passphrase") and not key:
        errors["passphrase"] = "It needs a private key."  # noqa: S105  (the same)
    return errors


def _webhook(
    username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    scheme = options.get("scheme")
    if not scheme:
        return {"options.scheme": "This field is required for this kind."}
    if scheme == "basic":
        errors = _require_username(username) | _require_secrets(("password",), secrets)
        return errors | ({"token": "Not used by this scheme."} if secrets.get("token") else {})
    errors = _require_secrets(("token",), secrets)
    if username:
        errors["username"] = "Only the scheme basic has a username."
    header = options.get("header_name", "")
    if scheme == "header" and not (header.isascii() and header.replace("-", "").isalnum()):
        errors["options.header_name"] = "A header name: letters, digits and hyphens."
    if any(ord(character) < ord(" ") for character in secrets.get("token", "")):
        errors["token"] = "Control characters are not allowed."  # noqa: S105  (the same)
    return errors


_RULES = {
    CredentialKind.ROUTEROS_API: _routeros,
    CredentialKind.SNMP_V2C: _snmp_v2c,
    CredentialKind.SNMP_V3: _snmp_v3,
    CredentialKind.SSH: _ssh,
    CredentialKind.WEBHOOK: _webhook,
}
