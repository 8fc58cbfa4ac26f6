"""The socket of the RouterOS API: an absolute deadline, and limits on the size of replies.

The library's own socket sends word by word with Nagle's delay (44 ms a command) and has a timeout per read only, which
a router that sends single bytes slowly never reaches.
"""

import hashlib
import socket
import ssl
import time
from contextlib import suppress

from routeros_api import base_api
from routeros_api.exceptions import RouterOsApiError

from agent.collectors.errors import CertificateChanged, ConnectionFailed

CONNECT_SECONDS = 3.0
MAX_WORD_BYTES = 2**20
MAX_SENTENCE_WORDS = 1_024
MAX_REPLY_BYTES = 32 * 2**20
_CHUNK_BYTES = 64 * 1024
# Lengths below this are encoded in one byte; nearly all words are.
_ONE_BYTE = 0x80


class RouterSocket:
    """The socket interface of the library, with buffered reads and an absolute deadline. For one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._offset = 0
        self._deadline = time.monotonic() + CONNECT_SECONDS
        self._received = 0

    def reset_deadline(self, seconds: float) -> None:
        """Restart the deadline and the count of received bytes."""
        self._deadline = time.monotonic() + seconds
        self._received = 0

    def send(self, data: bytes) -> None:
        """Raises OSError, ConnectionFailed at the deadline."""
        self._socket.settimeout(self._remaining_seconds())
        self._socket.sendall(data)

    def receive(self, length: int) -> bytes:
        """Exactly this many bytes. Raises OSError, ConnectionFailed at the deadline or above a limit."""
        if length > MAX_WORD_BYTES:
            raise ConnectionFailed(f"The router announced a word of {length} bytes.")
        while len(self._buffer) - self._offset < length:
            self._refill()
        data = self._buffer[self._offset : self._offset + length]
        self._offset += length
        return data

    def abort(self) -> None:
        """Wake a thread that waits for bytes."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def _refill(self) -> None:
        self._socket.settimeout(self._remaining_seconds())
        chunk = self._socket.recv(_CHUNK_BYTES)
        if not chunk:
            raise ConnectionFailed("The router closed the connection.")
        self._received += len(chunk)
        if self._received > MAX_REPLY_BYTES:
            raise ConnectionFailed("The router's reply is too large.")
        self._buffer = self._buffer[self._offset :] + chunk
        self._offset = 0

    def _remaining_seconds(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise ConnectionFailed("The router did not answer in time.")
        return remaining


class RouterConnection(base_api.Connection):  # type: ignore[misc]  # the library ships no types
    """Sentences over a ``RouterSocket``: one write per sentence, bounded reads."""

    socket: RouterSocket
    #: SHA-256 of the certificate that the router presented; empty without TLS.
    certificate: str = ""

    def send_sentence(self, words: list[bytes]) -> None:
        """Raises ConnectionFailed."""
        packed = b"".join(base_api.encode_length(len(word)) + word for word in words)
        try:
            self.socket.send(packed + b"\x00")
        except OSError as error:
            raise _connection_failed(error) from error

    def receive_sentence(self) -> list[bytes]:
        """The next sentence that is not empty. Raises ConnectionFailed, also for malformed data."""
        words: list[bytes] = []
        try:
            while True:
                word = self.receive_word()
                if word:
                    words.append(word)
                elif words:
                    return words
                if len(words) > MAX_SENTENCE_WORDS:
                    raise ConnectionFailed("The router sent a sentence of too many words.")
        except (OSError, RouterOsApiError) as error:
            raise _connection_failed(error) from error

    def receive_word(self) -> bytes:
        first = self.socket.receive(1)
        if first[0] < _ONE_BYTE:
            return self.socket.receive(first[0]) if first[0] else b""
        pushed_back = [first]
        length: int = base_api.decode_length(
            lambda size: pushed_back.pop() if pushed_back else self.socket.receive(size)
        )
        return self.socket.receive(length)


def open_connection(
    address: str,
    port: int,
    *,
    use_tls: bool,
    source_address: str,
    seconds: float,
    certificate: str = "",
) -> RouterConnection:
    """Connect within this time. The router must present the pinned ``certificate`` (SHA-256 in hexadecimal), if any.

    Raises ConnectionFailed, CertificateChanged.
    """
    source = (source_address, 0) if source_address else None
    limit = min(CONNECT_SECONDS, max(0.1, seconds))
    try:
        plain = socket.create_connection((address, port), timeout=limit, source_address=source)
    except OSError as error:
        raise _connection_failed(error) from error
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock = _tls().wrap_socket(plain) if use_tls else plain
    except OSError as error:
        plain.close()
        raise _connection_failed(error) from error
    connection = RouterConnection(RouterSocket(sock))
    if isinstance(sock, ssl.SSLSocket):
        connection.certificate = _fingerprint(sock)
        if certificate and connection.certificate != certificate:
            connection.socket.close()
            raise CertificateChanged(certificate, connection.certificate)
    return connection


def _fingerprint(sock: ssl.SSLSocket) -> str:
    presented = sock.getpeercert(binary_form=True) or b""
    return hashlib.sha256(presented).hexdigest()


def _tls() -> ssl.SSLContext:
    """Encrypted, without verification by a CA: routers sign their own certificates, and their clocks may be wrong. The
    identity of the router is its pinned certificate; the handshake proves possession of the key.

    Routers without a certificate offer anonymous key exchange only, which is refused: it does not protect from
    interception.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connection_failed(error: Exception) -> ConnectionFailed:
    if isinstance(error, TimeoutError):
        return ConnectionFailed("The router did not answer in time.")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ConnectionFailed(f"The connection to the router failed: {reason}")
