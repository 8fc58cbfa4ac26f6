"""One HTTP/1.1 request to a checked address.

Resolve once, check every address, connect to a checked one, verify the peer's address. No redirects, no proxies from
the environment, no cookies, no decompression, one request per connection.
"""

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from ipaddress import IPv6Address, ip_address
from queue import Empty, SimpleQueue

from apps.core.http.addresses import Address
from apps.core.http.bounded_socket import (
    BoundedSocket,
    Deadline,
    DeadlineExceeded,
    ResponseTooLarge,
)
from apps.core.http.errors import (
    AddressRefused,
    ConnectFailed,
    EgressError,
    ExchangeFailed,
    ResolutionFailed,
    TlsFailed,
)
from apps.core.http.policy import EgressPolicy, Vetted
from apps.core.http.urls import Target, parse_url

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
RESOLVE_SECONDS = 5.0
BODY_LIMIT = 64 * 1024
HEAD_LIMIT = 64 * 1024
MAX_ADDRESSES = 4

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[ -~]*")

Resolver = Callable[[str, int], Sequence[Address]]


@dataclass(frozen=True)
class Request:
    """What to send. ``ca_pem`` replaces the system's certificate authorities for this one request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    ca_pem: str = ""


@dataclass(frozen=True)
class Answer:
    """A response. The status is valid even if the body is incomplete (``body_whole``)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    body_whole: bool
    address: str
    is_private: bool
    certificate_sha256: str
    elapsed_ms: int


def resolve_host(host: str, port: int) -> list[Address]:
    """The addresses of a host from the system resolver, in its order."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = (ip_address(str(row[4][0]).partition("%")[0]) for row in rows)
    return list(dict.fromkeys(addresses))


@dataclass(frozen=True)
class EgressClient:
    """Sends requests under one policy. Stateless."""

    policy: EgressPolicy
    resolver: Resolver = resolve_host
    connect_seconds: float = CONNECT_SECONDS
    total_seconds: float = TOTAL_SECONDS

    def send(self, request: Request) -> Answer:
        """Send the request and read the response within ``total_seconds``. Raises EgressError.

        Any status is returned, including redirects.
        """
        deadline = Deadline(self.total_seconds)
        target = parse_url(request.url)
        try:
            vetted = self.policy.vet_all(target, self._addresses(target, deadline))
            sock, peer = self._connect(vetted, deadline)
        except DeadlineExceeded as error:
            raise ConnectFailed("connect_timeout", "No connection in time.") from error
        with sock:
            try:
                return _exchange(sock, peer, target, request, deadline)
            except EgressError as error:
                error.address = _show(peer)
                raise

    def _addresses(self, target: Target, deadline: Deadline) -> Sequence[Address]:
        if target.literal is not None:
            return [target.literal]
        answers: SimpleQueue[Sequence[Address] | OSError] = SimpleQueue()

        def query() -> None:
            try:
                answers.put(self.resolver(target.host, target.port))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(str(error)))

        # getaddrinfo has no timeout; an abandoned thread ends by itself.
        threading.Thread(target=query, name="resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=deadline.remaining(RESOLVE_SECONDS))
        except Empty:
            raise ResolutionFailed("dns_timeout", "The resolver did not answer in time.") from None
        if isinstance(answer, OSError) or not answer:
            raise ResolutionFailed(message=f"{target.host} has no address.")
        return answer

    def _connect(
        self, vetted: Sequence[Vetted], deadline: Deadline
    ) -> tuple[socket.socket, Vetted]:
        candidates = vetted[:MAX_ADDRESSES]
        budget = Deadline(deadline.remaining(self.connect_seconds))
        last = ConnectFailed()
        for index, candidate in enumerate(candidates):
            try:
                share = budget.remaining() / (len(candidates) - index)
            except DeadlineExceeded:
                break
            try:
                return _dial(candidate, share), candidate
            except ConnectFailed as error:
                last = error
        raise last


def _exchange(
    sock: socket.socket,
    peer: Vetted,
    target: Target,
    request: Request,
    deadline: Deadline,
) -> Answer:
    try:
        tls = _start_tls(sock, target, request.ca_pem, deadline)
    except DeadlineExceeded as error:
        raise TlsFailed("tls_timeout", "The TLS handshake took too long.") from error
    fingerprint = ""
    if tls is not None:
        certificate = tls.getpeercert(binary_form=True)
        fingerprint = hashlib.sha256(certificate or b"").hexdigest()
    connection = BoundedSocket(tls or sock, deadline, HEAD_LIMIT)
    try:
        response = _send_and_receive(connection, _head(request, target) + request.body)
        body, whole = _read_body(response, connection)
    finally:
        if tls is not None:
            tls.close()
    return Answer(
        status=response.status,
        headers={name.lower(): value for name, value in reversed(response.getheaders())},
        body=body,
        body_whole=whole,
        address=_show(peer),
        is_private=peer.is_private,
        certificate_sha256=fingerprint,
        elapsed_ms=deadline.elapsed_ms(),
    )


def _show(peer: Vetted) -> str:
    host = f"[{peer.address}]" if isinstance(peer.address, IPv6Address) else str(peer.address)
    return f"{host}:{peer.port}"


def _dial(vetted: Vetted, seconds: float) -> socket.socket:
    is_v6 = isinstance(vetted.address, IPv6Address)
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((str(vetted.address), vetted.port))
        _check_peer(sock, vetted)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError as error:
        sock.close()
        raise ConnectFailed(
            "connect_timeout", "No connection in time.", address=_show(vetted)
        ) from error
    except OSError as error:
        sock.close()
        refused = isinstance(error, ConnectionRefusedError)
        raise ConnectFailed(
            "connect_refused" if refused else "connect_failed",
            error.strerror or "No connection.",
            address=_show(vetted),
        ) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _check_peer(sock: socket.socket, vetted: Vetted) -> None:
    host, port = sock.getpeername()[:2]
    if ip_address(host.partition("%")[0]) != vetted.address or port != vetted.port:
        raise AddressRefused("peer_changed", "Connected to another address than the checked one.")


def _start_tls(
    sock: socket.socket, target: Target, ca_pem: str, deadline: Deadline
) -> ssl.SSLSocket | None:
    if target.scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cadata=ca_pem or None)
    except ssl.SSLError as error:
        raise TlsFailed("tls_ca_unreadable", "The endpoint's CA bundle is not PEM.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    sock.settimeout(deadline.remaining())
    try:
        # The timeout applies to the handshake as a whole, not to each read.
        return context.wrap_socket(sock, server_hostname=target.host)
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed("tls_certificate", error.verify_message) from error
    except TimeoutError as error:
        raise TlsFailed("tls_timeout", "The TLS handshake took too long.") from error
    except OSError as error:
        raise TlsFailed("tls_failed", str(error.strerror or error)) from error


def _head(request: Request, target: Target) -> bytes:
    headers = {
        "Host": target.authority,
        "User-Agent": "ISPVisualMonitor/1",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Length": str(len(request.body)),
        **request.headers,
    }
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"Header {name!r} cannot be sent.")
    lines = [f"{request.method} {target.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _send_and_receive(connection: BoundedSocket, data: bytes) -> HTTPResponse:
    """Send the request and read the response head. Raises ExchangeFailed."""
    unsent: OSError | None = None
    try:
        try:
            connection.send(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            unsent = error  # the server may have sent an early 4xx
        response = HTTPResponse(connection, method="POST")  # type: ignore[arg-type]  # it only calls makefile
        response.begin()
    except (TimeoutError, DeadlineExceeded) as error:
        raise ExchangeFailed("answer_timeout", "No answer in time.") from error
    except ResponseTooLarge as error:
        raise ExchangeFailed("answer_head_too_large", "The answer's head is too large.") from error
    except ConnectionError as error:
        # http.client's RemoteDisconnected is one as well: closed without an answer.
        raise ExchangeFailed("connection_lost", "Closed before it answered.") from (unsent or error)
    except (HTTPException, ValueError) as error:
        raise ExchangeFailed("answer_malformed", "The answer is not HTTP/1.") from error
    except OSError as error:
        raise ExchangeFailed("connection_lost", str(error.strerror or error)) from error
    return response


def _read_body(response: HTTPResponse, connection: BoundedSocket) -> tuple[bytes, bool]:
    """At most ``BODY_LIMIT`` bytes, and whether the body is complete. An interrupted body is no error."""
    connection.reader.budget = BODY_LIMIT
    expected = None if response.chunked else response.length
    body = bytearray()
    with suppress(OSError, HTTPException, ValueError, DeadlineExceeded, ResponseTooLarge):
        while len(body) < BODY_LIMIT and (expected is None or len(body) < expected):
            remaining = min(BODY_LIMIT, expected or BODY_LIMIT) - len(body)
            piece = response.read1(min(4096, remaining))
            if not piece:
                return bytes(body), expected is None
            body += piece
        return bytes(body), expected is not None and len(body) == expected
    return bytes(body), False
