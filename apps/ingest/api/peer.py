"""Certificate and address of the client, from sources that no client can forge.

Ingest runs in two ways, distinguished by the socket of the request and never by its content:

- a TCP port: TLS ends in this process, the certificate is the socket's own, and headers are ignored;
- a unix socket: only the proxy on this host can open it. TLS ends there, the proxy's handshake proved that the
  client holds the certificate's key, and the proxy's two headers replace any headers of these names that it sent.
"""

import socket
from ssl import PEM_cert_to_DER_cert
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest

#: As ispvm/deploy/nginx.conf sets them.
CERTIFICATE = "HTTP_X_ISPVM_CLIENT_CERTIFICATE"
ADDRESS = "HTTP_X_ISPVM_CLIENT_ADDRESS"


def client_certificate(request: HttpRequest) -> bytes:
    """The DER of the client certificate; empty when none was presented or it cannot be parsed."""
    connection = _socket(request)
    if _is_from_proxy(connection):
        return _der(unquote(request.META.get(CERTIFICATE, "")))
    getpeercert = getattr(connection, "getpeercert", None)
    return (getpeercert(True) if getpeercert else None) or b""


def source_address(request: HttpRequest) -> str:
    """The address that the client connected from."""
    if _is_from_proxy(_socket(request)):
        return str(request.META.get(ADDRESS, ""))
    return str(request.META.get("REMOTE_ADDR", ""))


def _socket(request: HttpRequest) -> Any:
    return request.META.get("gunicorn.socket")


def _is_from_proxy(connection: Any) -> bool:
    return getattr(connection, "family", None) == socket.AF_UNIX


def _der(pem: str) -> bytes:
    try:
        return PEM_cert_to_DER_cert(pem)
    except ValueError:
        return b""
