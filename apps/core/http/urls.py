"""Strict parsing of configured URLs.

Resolvers and libraries disagree about ``0x7f.1``, ``2130706433``, ``127.1`` and similar forms; only the canonical
form is accepted, so that the checked address is the one that is connected to.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import idna

from apps.core.http.addresses import Address
from apps.core.http.errors import UrlRefused

MAX_URL = 2048
MAX_PORT = 65535
DEFAULT_PORTS = {"http": 80, "https": 443}

_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[/?][!-~]*)?"
)
# ASCII digits only: \d would accept digits of other scripts.
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
# As in browsers: a name whose last label is a number is meant as an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOTTED = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")


@dataclass(frozen=True)
class Target:
    """A parsed URL; ``literal`` is set if the host is an address, which needs no DNS query."""

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(url: str) -> Target:
    """Parse a URL. Raises UrlRefused."""
    if len(url) > MAX_URL:
        raise UrlRefused("url_too_long", f"The URL is longer than {MAX_URL} characters.")
    shape = _SHAPE.fullmatch(url)
    if shape is None or "#" in url:
        raise UrlRefused("url_malformed", "Write a URL like https://host.example/path.")
    scheme = shape["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise UrlRefused("url_scheme", "Only https and http URLs are allowed.")
    if "@" in shape["authority"]:
        raise UrlRefused("url_userinfo", "A URL must not carry a user name or password.")
    host_text, port_text = _split(shape["authority"])
    if port_text is not None and not (_PORT.fullmatch(port_text) and int(port_text) <= MAX_PORT):
        raise UrlRefused("url_port", "The port is a number from 1 to 65535.")
    host, literal = _read_host(host_text)
    path = shape["rest"] or "/"
    return Target(
        scheme=scheme,
        host=host,
        port=int(port_text) if port_text else DEFAULT_PORTS[scheme],
        path=path if path.startswith("/") else f"/{path}",
        literal=literal,
    )


def _split(authority: str) -> tuple[str, str | None]:
    if authority.startswith("["):
        inside, bracket, after = authority.partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise UrlRefused("url_host", "The brackets of the IPv6 address do not match.")
        return f"{inside}]", after[1:] if after else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _read_host(text: str) -> tuple[str, Address | None]:
    if text.startswith("["):
        literal = _read_ipv6(text[1:-1])
        return str(literal), literal
    host = _to_ascii(text) if not text.isascii() else text.lower()
    if _DOTTED.fullmatch(host):
        try:
            address = ip_address(host)
        except ValueError as error:
            raise UrlRefused("url_host", "The host is not an IPv4 address.") from error
        return str(address), address
    host = host.removesuffix(".")
    if not _HOST.fullmatch(host):
        raise UrlRefused("url_host", "The host is not a name or an address.")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise UrlRefused("url_host_number", "Write an IPv4 address as four plain decimal numbers.")
    return host, None


def _read_ipv6(text: str) -> IPv6Address:
    # A zone id would select a local interface; a dotted suffix contains an IPv4 address.
    if "%" in text or "." in text or not text.isascii():
        raise UrlRefused("url_host", "Write the IPv6 address plainly, without a zone.")
    try:
        return IPv6Address(text)
    except ValueError as error:
        raise UrlRefused("url_host", "The host is not an IPv6 address.") from error


def _to_ascii(text: str) -> str:
    try:
        host = idna.encode(text, uts46=True, std3_rules=True).decode().lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise UrlRefused("url_host", "The host is not a valid international name.") from error
    if "xn--" not in host:
        # Full-width letters or circled digits: look-alikes of a plain name or address.
        raise UrlRefused("url_host_disguised", "Write the host in plain letters and digits.")
    return host
