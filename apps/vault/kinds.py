"""What a credential set of each kind is made of. Pure; nothing here holds a secret longer than it looks at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from apps.vault.choices import CredentialKind

#: RFC 3414: a localized key of less is no key.
SNMP_PASSWORD_LEAST = 8
NAME_MOST = 32


@dataclass(frozen=True)
class Shape:
    """The fields of a kind: names of its secrets, values that its options may have (none listed: free text)."""

    secrets: tuple[str, ...]
    #: The secret that a caller means who knows but one: ``secret``.
    main_secret: str
    has_username: bool = True
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        CredentialKind.ROUTEROS_API: Shape(("password",), "password"),
        CredentialKind.SNMP_V2C: Shape(("community",), "community", has_username=False),
        CredentialKind.SNMP_V3: Shape(
            ("auth_password", "priv_password"),
            "auth_password",
            options={
                "auth_protocol": ("none", "md5", "sha", "sha256", "sha512"),
                "priv_protocol": ("none", "des", "aes", "aes256"),
            },
        ),
        CredentialKind.SSH: Shape(("password", "private_key", "passphrase"), "password"),
        CredentialKind.WEBHOOK: Shape(
            ("password", "token"),
            "token",
            options={"scheme": ("basic", "bearer", "header"), "header_name": ()},
        ),
    }
)

SECRET_NAMES = tuple(dict.fromkeys(name for shape in SHAPES.values() for name in shape.secrets))


def faults_of(
    kind: str, *, username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    """What is wrong with a set, by field; empty when it can be used."""
    shape = SHAPES[kind]
    faults = {
        name: "This kind has no such secret." for name in secrets if name not in shape.secrets
    }
    faults |= {
        f"options.{name}": "This kind has no such option."
        for name in options
        if name not in shape.options
    }
    for name, allowed in shape.options.items():
        if allowed and name in options and options[name] not in allowed:
            faults[f"options.{name}"] = f"One of: {', '.join(allowed)}."
    if faults:
        return faults
    if not shape.has_username and username:
        return {"username": "This kind has none."}
    faults |= _RULES[CredentialKind(kind)](username, options, secrets)
    return faults


def _needs(names: tuple[str, ...], secrets: Mapping[str, str]) -> dict[str, str]:
    return {name: "This kind needs it." for name in names if not secrets.get(name)}


def _named(username: str) -> dict[str, str]:
    return {} if username else {"username": "This kind needs it."}


def _routeros(
    username: str, _options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    return _named(username) | _needs(("password",), secrets)


def _snmp_v2c(
    _username: str, _options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    return _needs(("community",), secrets)


def _snmp_v3(
    username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    faults = _named(username)
    if len(username) > NAME_MOST:
        faults["username"] = f"At most {NAME_MOST} characters."
    wanted = {
        "auth_password": options.get("auth_protocol", "none") != "none",
        "priv_password": options.get("priv_protocol", "none") != "none",
    }
    if wanted["priv_password"] and not wanted["auth_password"]:
        faults["options.priv_protocol"] = "SNMPv3 encrypts only what it authenticates."
    for name, is_wanted in wanted.items():
        held = secrets.get(name, "")
        if is_wanted and len(held) < SNMP_PASSWORD_LEAST:
            faults[name] = f"At least {SNMP_PASSWORD_LEAST} characters."
        elif held and not is_wanted:
            faults[name] = "Its protocol is none."
    return faults


def _ssh(username: str, _options: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    faults = _named(username)
    key = secrets.get("private_key", "")
    if not key and not secrets.get("password"):
        faults["password"] = "A password or a private key is needed."  # noqa: S105  (a fault, not one)
    if key and not ("-----BEGIN " in key and "PRIVATE KEY-----" in key):
        faults["private_key"] = "Not a private key in PEM or OpenSSH form."
    if secrets.get("passphrase") and not key:
        faults["passphrase"] = "It belongs to a private key."  # noqa: S105  (the same)
    return faults


def _webhook(
    username: str, options: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    scheme = options.get("scheme")
    if not scheme:
        return {"options.scheme": "This kind needs it."}
    if scheme == "basic":
        faults = _named(username) | _needs(("password",), secrets)
        return faults | ({"token": "Of other schemes."} if secrets.get("token") else {})
    faults = _needs(("token",), secrets)
    if username:
        faults["username"] = "Only the scheme basic has one."
    header = options.get("header_name", "")
    if scheme == "header" and not (header.isascii() and header.replace("-", "").isalnum()):
        faults["options.header_name"] = "The name of a header: letters, digits and hyphens."
    if any(ord(mark) < ord(" ") for mark in secrets.get("token", "")):
        faults["token"] = "It is sent as one line."  # noqa: S105  (the same)
    return faults


_RULES = {
    CredentialKind.ROUTEROS_API: _routeros,
    CredentialKind.SNMP_V2C: _snmp_v2c,
    CredentialKind.SNMP_V3: _snmp_v3,
    CredentialKind.SSH: _ssh,
    CredentialKind.WEBHOOK: _webhook,
}
