"""Typed reading of environment variables; reports all errors at once.

``docs/operator-handbook/configuration.md`` and ``.env.example`` name every variable (a test compares them).
A secret ``X`` may be given as ``X_FILE``, a path whose content is the value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})
PROJECT = Path(__file__).resolve().parents[2]


class EnvironmentInvalid(Exception):
    """Invalid environment; the text lists all errors, one per line."""


@dataclass(frozen=True)
class EgressEntry:
    """An entry of the operator's egress allow-list: a network and, optionally, a port."""

    network: IPv4Network | IPv6Network
    port: int | None


@dataclass
class Reader:
    """Reads variables and collects errors."""

    source: Mapping[str, str]
    faults: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        path = self.source.get(f"{name}_FILE")
        if not path:
            return self.source.get(name, default)
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            self.faults.append(f"{name}_FILE: cannot read {path} ({error.strerror}).")
            return default

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            self.faults.append(f"{name} is not set.")
        return value

    def whole(self, name: str, *, default: int) -> int:
        """A positive integer."""
        word = self.source.get(name, "").strip()
        if name not in self.source:
            return default
        if word.isascii() and word.isdecimal() and len(word) < 10 and int(word) > 0:  # noqa: PLR2004
            return int(word)
        self.faults.append(f"{name}: {word!r} is not a positive integer.")
        return default

    def bare(self, name: str) -> str:
        """The variable itself, where ``NAME_FILE`` is a separate setting."""
        return self.source.get(name, "")

    def boolean(self, name: str, *, default: bool = False) -> bool:
        word = self.source.get(name, "").strip().lower()
        if name not in self.source:
            return default
        if word in TRUE_WORDS or word in FALSE_WORDS:
            return word in TRUE_WORDS
        self.faults.append(f"{name}: {word!r} is neither true nor false.")
        return default

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.source.get(name, default)
        if value not in allowed:
            self.faults.append(f"{name}: {value!r} is not one of {', '.join(allowed)}.")
            return default
        return value

    def egress(self, name: str) -> tuple[EgressEntry, ...]:
        entries = []
        for word in filter(None, (part.strip() for part in self.source.get(name, "").split(","))):
            network, _, port = (
                word.rpartition(":") if "/" in word.rpartition(":")[0] else (word, "", "")
            )
            try:
                entries.append(EgressEntry(ip_network(network), int(port) if port else None))
            except ValueError:
                self.faults.append(f"{name}: {word!r} is not CIDR or CIDR:port.")
        return tuple(entries)

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """CIDRs separated by commas."""
        networks = []
        for word in filter(None, (part.strip() for part in self.source.get(name, "").split(","))):
            try:
                networks.append(ip_network(word))
            except ValueError:
                self.faults.append(f"{name}: {word!r} is not CIDR.")
        return tuple(networks)

    def address(self, name: str) -> tuple[str, int] | None:
        """``host:port``, the host an address (IPv6 in brackets); None when it is not set."""
        text = self.source.get(name, "").strip()
        if not text:
            return None
        host, _, port = text.rpartition(":")
        try:
            return str(ip_address(host.strip("[]"))), _port(port)
        except ValueError:
            self.faults.append(f"{name}: {text!r} is not ADDRESS:PORT.")
            return None

    def folder(self, name: str) -> Path | None:
        """A folder, created if missing; None if not set."""
        text = self.source.get(name, "").strip()
        if not text:
            return None
        try:
            Path(text).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.faults.append(f"{name}: cannot create {text} ({error.strerror}).")
        return Path(text)

    def folders(self, name: str, default: str) -> dict[str, Path]:
        """``NAME=/path`` separated by commas; the folders may be missing."""
        folders = {}
        for word in filter(
            None, (part.strip() for part in self.source.get(name, default).split(","))
        ):
            label, equals, path = word.partition("=")
            if not equals or not label.strip() or not path.strip():
                self.faults.append(f"{name}: {word!r} is not NAME=PATH.")
                continue
            folders[label.strip()] = Path(path.strip())
        return folders

    def finish(self) -> None:
        if self.faults:
            raise EnvironmentInvalid("\n".join(self.faults))


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise ValueError(text)
    return port


def database(url: str) -> dict[str, object]:
    """Django's database settings for ``postgres://role:password@host:port/name``."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,  # pgbouncer in transaction mode
        "OPTIONS": {"connect_timeout": 5, "application_name": "ispvm"},
    }
