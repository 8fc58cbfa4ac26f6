"""What a collector is, as far as the server needs to know. Pure: server and agent import it, and no protocol code.

Each folder of ``agent.collectors`` has a module ``facts`` with its ``FACTS``; ``agent.collectors.registry`` finds them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

#: (username, options, secrets) -> validation errors by field.
CredentialCheck = Callable[[str, Mapping[str, str], Mapping[str, str]], dict[str, str]]

REQUIRED = "This field is required for this kind."


def gettext_noop(text: str) -> str:
    """Marks a text for the catalogs; the server translates it. The agent has no translations."""
    return text


@dataclass(frozen=True)
class CredentialKind:
    """A kind of credential set: names of its secrets, allowed values of its options (empty: free text)."""

    name: str
    label: str
    secrets: tuple[str, ...]
    #: The secret that the generic field ``secret`` sets.
    main_secret: str
    has_username: bool = True
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: None: the username, if the kind has one, and the main secret are required.
    check: CredentialCheck | None = None

    def errors(
        self, username: str, options: Mapping[str, str], secrets: Mapping[str, str]
    ) -> dict[str, str]:
        """Errors of fields that this kind has; empty when they are valid."""
        if self.check is not None:
            return self.check(username, options, secrets)
        missing = require_secrets((self.main_secret,), secrets)
        return (require_username(username) if self.has_username else {}) | missing


def require_secrets(names: tuple[str, ...], secrets: Mapping[str, str]) -> dict[str, str]:
    """An error for each of these secrets that is empty."""
    return {name: REQUIRED for name in names if not secrets.get(name)}


def require_username(username: str) -> dict[str, str]:
    """An error when the username is empty."""
    return {} if username else {"username": REQUIRED}


@dataclass(frozen=True)
class CollectorFacts:
    """One vendor's management protocol: how it is named, reached and logged in to."""

    #: The name of its folder: the value of ``Device.collector`` and of ``collector`` in the agent's config.
    name: str
    #: As operators choose it.
    label: str
    #: The device's software; its version follows on pages.
    software: str
    #: The source of its samples, and the capability that an agent with this collector reports.
    source: str
    #: The source of its evidence, as pages name it.
    source_label: str
    port: int
    #: The default port with TLS; None: the protocol has no TLS.
    tls_port: int | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    #: The kinds of its logins. A kind belongs to one collector: an approved login is never sent over another protocol.
    credentials: tuple[CredentialKind, ...] = ()
    #: Outcome of a connection test -> a text that names the vendor's usual reason.
    outcomes: Mapping[str, str] = field(default_factory=dict)

    @property
    def credential_kinds(self) -> frozenset[str]:
        """The names of the kinds of its logins."""
        return frozenset(kind.name for kind in self.credentials)

    def default_port(self, *, tls: bool) -> int:
        """The port of a device for which none is given."""
        return self.tls_port if tls and self.tls_port is not None else self.port
