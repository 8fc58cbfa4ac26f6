"""The kinds of credential sets: those of the collectors, and those below. Pure; secrets are not stored here."""

from collections.abc import Mapping
from types import MappingProxyType

from django.utils.translation import gettext_lazy as _

from agent.collectors.facts import CredentialKind, gettext_noop, require_secrets, require_username
from agent.collectors.registry import COLLECTORS, CREDENTIAL_KINDS, DEFAULT

#: RFC 3414: the minimum for a localized key.
SNMP_PASSWORD_MIN_LENGTH = 8
SNMP_USERNAME_MAX_LENGTH = 32
#: The kind of a new credential set that names none.
DEFAULT_KIND = COLLECTORS[DEFAULT].credentials[0].name


def _snmp_v3(
    username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    errors = require_username(username)
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
    errors = require_username(username)
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
        errors = require_username(username) | require_secrets(("password",), secrets)
        return errors | ({"token": "Not used by this scheme."} if secrets.get("token") else {})
    errors = require_secrets(("token",), secrets)
    if username:
        errors["username"] = "Only the scheme basic has a username."
    header = options.get("header_name", "")
    if scheme == "header" and not (header.isascii() and header.replace("-", "").isalnum()):
        errors["options.header_name"] = "A header name: letters, digits and hyphens."
    if any(ord(character) < ord(" ") for character in secrets.get("token", "")):
        errors["token"] = "Control characters are not allowed."  # noqa: S105  (the same)
    return errors


KIND_SPECS: Mapping[str, CredentialKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            *CREDENTIAL_KINDS,
            CredentialKind(
                "snmp_v2c",
                gettext_noop("SNMP v2c"),
                ("community",),
                "community",
                has_username=False,
            ),
            CredentialKind(
                "snmp_v3",
                gettext_noop("SNMP v3"),
                ("auth_password", "priv_password"),
                "auth_password",
                options={
                    "auth_protocol": ("none", "md5", "sha", "sha256", "sha512"),
                    "priv_protocol": ("none", "des", "aes", "aes256"),
                },
                check=_snmp_v3,
            ),
            CredentialKind(
                "ssh",
                gettext_noop("SSH"),
                ("password", "private_key", "passphrase"),
                "password",
                check=_ssh,
            ),
            CredentialKind(
                "webhook",
                gettext_noop("Webhook"),
                ("password", "token"),
                "token",
                options={"scheme": ("basic", "bearer", "header"), "header_name": ()},
                check=_webhook,
            ),
        )
    }
)
KIND_CHOICES = tuple((kind.name, _(kind.label)) for kind in KIND_SPECS.values())

SECRET_NAMES = tuple(dict.fromkeys(name for kind in KIND_SPECS.values() for name in kind.secrets))
#: Option -> its allowed values (empty: free text), over all kinds.
OPTIONS = {name: values for kind in KIND_SPECS.values() for name, values in kind.options.items()}


def kind_choices() -> tuple[tuple[str, object], ...]:
    """The kinds as choices. A callable: a collector's new kind needs no migration."""
    return KIND_CHOICES


def credential_errors(
    kind: str, *, username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    """Validation errors by field; empty when the set is valid."""
    spec = KIND_SPECS.get(kind)
    if spec is None:
        return {"kind": "This version has no such kind."}
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
    return spec.errors(username, options, secrets)
