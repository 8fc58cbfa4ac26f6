"""Who is at the other end of the wire, by what no client can write.

Two ways of running ingest, told apart by the socket that a request came over, never by what it says:

- a TCP port: TLS ends in this process, the certificate is the socket's own, and headers name nobody;
- a unix socket: only the proxy on this host can open it. TLS ended there, the proxy's handshake proved that the
  caller holds the certificate's key, and the proxy's two headers replace whatever the caller sent under their names.
"""

import socket
from ssl import PEM_cert_to_DER_cert
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest

#: As ispvm/deploy/nginx.conf sets them.
CERTIFICATE = "HTTP_X_ISPVM_CLIENT_CERTIFICATE"
ADDRESS = "HTTP_X_ISPVM_CLIENT_ADDRESS"


def shown_certificate(request: HttpRequest) -> bytes:
    """The DER of the client certificate; empty when none was shown or it cannot be read."""
    wire = _socket(request)
    if _is_proxys(wire):
        return _der(unquote(request.META.get(CERTIFICATE, "")))
    getpeercert = getattr(wire, "getpeercert", None)
    return (getpeercert(True) if getpeercert else None) or b""


def source_address(request: HttpRequest) -> str:
    """The address that the caller connected from."""
    if _is_proxys(_socket(request)):
        return str(request.META.get(ADDRESS, ""))
    return str(request.META.get("REMOTE_ADDR", ""))


def _socket(request: HttpRequest) -> Any:
    return request.META.get("gunicorn.socket")


def _is_proxys(wire: Any) -> bool:
    return getattr(wire, "family", None) == socket.AF_UNIX


def _der(pem: str) -> bytes:
    try:
        return PEM_cert_to_DER_cert(pem)
    except ValueError:
        return b""
