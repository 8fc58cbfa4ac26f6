"""Why a request was not made, or not answered.

``permanent`` says that trying again cannot help until a person changes the URL or the operator the
allow-list. None of these is an OSError, so that no library in between takes one for a network fault.
"""

from apps.core.errors import DomainError


class EgressError(DomainError):
    """The base: ``code`` is stable, ``address`` is what was dialled ("" when nothing was)."""

    default_code = "egress_failed"
    permanent = False

    def __init__(self, code: str = "", message: str = "", *, address: str = "") -> None:
        super().__init__(code, message)
        self.address = address


class UrlRefused(EgressError):
    """The URL is not one that this platform calls."""

    default_code = "url_refused"
    permanent = True


class AddressRefused(EgressError):
    """The host is, or resolves to, an address that is out of bounds. Nothing was dialled."""

    default_code = "address_refused"
    permanent = True


class ResolutionFailed(EgressError):
    """The name has no address now, or the resolver did not answer in time."""

    default_code = "dns_failed"


class ConnectFailed(EgressError):
    """No TCP connection: refused, unreachable or too slow."""

    default_code = "connect_failed"


class TlsFailed(EgressError):
    """The handshake failed or the certificate is not good for this host."""

    default_code = "tls_failed"


class ExchangeFailed(EgressError):
    """Connected, but no whole answer head came back: timeout, reset or not HTTP."""

    default_code = "exchange_failed"
