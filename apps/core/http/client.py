"""One HTTP/1.1 exchange with an address that was vetted a moment ago.

Resolve once, vet every address, connect to a vetted one, check the peer. No redirects, no proxies from
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
from apps.core.http.wire import Deadline, DeadlineExceeded, TooMuch, Wire

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
    """What came back. The status counts even if the body was cut (``body_whole`` says so)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    body_whole: bool
    address: str
    is_private: bool
    certificate_sha256: str
    elapsed_ms: int


def ask_resolver(host: str, port: int) -> list[Address]:
    """The system resolver's addresses of a host, in its order."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    found = (ip_address(str(row[4][0]).partition("%")[0]) for row in rows)
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class EgressClient:
    """Sends requests under one policy; holds no connection and no state."""

    policy: EgressPolicy
    resolver: Resolver = ask_resolver
    connect_seconds: float = CONNECT_SECONDS
    total_seconds: float = TOTAL_SECONDS

    def send(self, request: Request) -> Answer:
        """Make the exchange within ``total_seconds`` of wall clock. Raises EgressError.

        Any status is an answer: a redirect comes back as the 3xx it is.
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

        def ask() -> None:
            try:
                answers.put(self.resolver(target.host, target.port))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(str(error)))

        # getaddrinfo knows no time-out; a thread that nobody waits for any more ends by itself.
        threading.Thread(target=ask, name="resolve", daemon=True).start()
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
    wire = Wire(tls or sock, deadline, HEAD_LIMIT)
    try:
        response = _converse(wire, _head(request, target) + request.body)
        body, whole = _read_body(response, wire)
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
        raise AddressRefused("peer_changed", "Connected to another address than the vetted.")


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
        # The time-out holds for the handshake as a whole, not for each read of it.
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


def _converse(wire: Wire, data: bytes) -> HTTPResponse:
    """Send, then read the head of the answer. Raises ExchangeFailed."""
    unsent: OSError | None = None
    try:
        try:
            wire.send(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            unsent = error  # an early 4xx may be waiting for us all the same
        response = HTTPResponse(wire, method="POST")  # type: ignore[arg-type]  # makefile is all it uses
        response.begin()
    except (TimeoutError, DeadlineExceeded) as error:
        raise ExchangeFailed("answer_timeout", "No answer in time.") from error
    except TooMuch as error:
        raise ExchangeFailed("answer_head_too_large", "The answer's head is too large.") from error
    except ConnectionError as error:
        # http.client's RemoteDisconnected is one as well: closed without an answer.
        raise ExchangeFailed("connection_lost", "Closed before it answered.") from (unsent or error)
    except (HTTPException, ValueError) as error:
        raise ExchangeFailed("answer_malformed", "The answer is not HTTP/1.") from error
    except OSError as error:
        raise ExchangeFailed("connection_lost", str(error.strerror or error)) from error
    return response


def _read_body(response: HTTPResponse, wire: Wire) -> tuple[bytes, bool]:
    """At most ``BODY_LIMIT`` bytes, and whether that was all. A body that breaks off is no error."""
    wire.reader.budget = BODY_LIMIT
    expected = None if response.chunked else response.length
    body = bytearray()
    with suppress(OSError, HTTPException, ValueError, DeadlineExceeded, TooMuch):
        while len(body) < BODY_LIMIT and (expected is None or len(body) < expected):
            room = min(BODY_LIMIT, expected or BODY_LIMIT) - len(body)
            piece = response.read1(min(4096, room))
            if not piece:
                return bytes(body), expected is None
            body += piece
        return bytes(body), expected is not None and len(body) == expected
    return bytes(body), False
