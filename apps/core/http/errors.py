"""Errors of outgoing requests.

``permanent``: a retry cannot succeed until the URL or the allow-list is changed. None of these is an OSError,
so that no library treats one as a network error.
"""

from apps.core.errors import DomainError


class EgressError(DomainError):
    """The outgoing request failed. ``address`` is the address of the connection ("" without one)."""

    default_code = "egress_failed"
    permanent = False

    def __init__(self, code: str = "", message: str = "", *, address: str = "") -> None:
        super().__init__(code, message)
        self.address = address


class UrlRefused(EgressError):
    """The URL is not allowed."""

    default_code = "url_refused"
    permanent = True


class AddressRefused(EgressError):
    """The host is, or resolves to, a denied address. No connection was made."""

    default_code = "address_refused"
    permanent = True


class ResolutionFailed(EgressError):
    """The host name does not resolve, or the resolver timed out."""

    default_code = "dns_failed"


class ConnectFailed(EgressError):
    """No TCP connection: refused, unreachable or timed out."""

    default_code = "connect_failed"


class TlsFailed(EgressError):
    """The TLS handshake failed, or the certificate is not valid for this host."""

    default_code = "tls_failed"


class ExchangeFailed(EgressError):
    """Connected, but no complete response head: timeout, reset or not HTTP."""

    default_code = "exchange_failed"
