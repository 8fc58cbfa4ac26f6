"""The socket under the RouterOS API: one deadline for everything, caps on what a router can make us hold.

The library's own socket sends word by word with Nagle's delay (44 ms a command) and has a timeout per read only, which
a router that drips single bytes never reaches.
"""

import hashlib
import socket
import ssl
import time
from contextlib import suppress

from routeros_api import base_api
from routeros_api.exceptions import RouterOsApiError

from agent.collectors.errors import CertificateChanged, Gone

CONNECT_SECONDS = 3.0
MAX_WORD_BYTES = 2**20
MAX_SENTENCE_WORDS = 1_024
MAX_ANSWER_BYTES = 32 * 2**20
_PIECE = 64 * 1024
# Lengths below this are one byte, which is nearly every word.
_ONE_BYTE = 0x80


class RouterSocket:
    """What the library calls a socket, with buffered reads and an absolute deadline. For one thread."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._buffer = b""
        self._at = 0
        self._deadline = time.monotonic() + CONNECT_SECONDS
        self._received = 0

    def allow(self, seconds: float) -> None:
        """From now on this long, and the full number of bytes, for whatever comes."""
        self._deadline = time.monotonic() + seconds
        self._received = 0

    def send(self, data: bytes) -> None:
        """Raises OSError, Gone at the deadline."""
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def receive(self, length: int) -> bytes:
        """Exactly this many bytes. Raises OSError, Gone at the deadline or over a cap."""
        if length > MAX_WORD_BYTES:
            raise Gone(f"The router announced a word of {length} bytes.")
        while len(self._buffer) - self._at < length:
            self._refill()
        taken = self._buffer[self._at : self._at + length]
        self._at += length
        return taken

    def abort(self) -> None:
        """Wake whoever waits for bytes."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def _refill(self) -> None:
        self._socket.settimeout(self._left())
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise Gone("The router closed the connection.")
        self._received += len(piece)
        if self._received > MAX_ANSWER_BYTES:
            raise Gone("The router's answer is too large.")
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Gone("The router did not answer in time.")
        return left


class RouterConnection(base_api.Connection):  # type: ignore[misc]  # the library ships no types
    """Sentences over a ``RouterSocket``: one write for each, bounded reads."""

    socket: RouterSocket
    #: SHA-256 of the certificate that the router presented; empty without TLS.
    certificate: str = ""

    def send_sentence(self, words: list[bytes]) -> None:
        """Raises Gone."""
        packed = b"".join(base_api.encode_length(len(word)) + word for word in words)
        try:
            self.socket.send(packed + b"\x00")
        except OSError as error:
            raise _gone(error) from error

    def receive_sentence(self) -> list[bytes]:
        """The next sentence that is not empty. Raises Gone, also for bytes that are no sentence."""
        words: list[bytes] = []
        try:
            while True:
                word = self.receive_word()
                if word:
                    words.append(word)
                elif words:
                    return words
                if len(words) > MAX_SENTENCE_WORDS:
                    raise Gone("The router sent a sentence of too many words.")
        except (OSError, RouterOsApiError) as error:
            raise _gone(error) from error

    def receive_word(self) -> bytes:
        first = self.socket.receive(1)
        if first[0] < _ONE_BYTE:
            return self.socket.receive(first[0]) if first[0] else b""
        head = [first]
        length: int = base_api.decode_length(
            lambda size: head.pop() if head else self.socket.receive(size)
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
    """Connect within this time. With a pinned ``certificate`` (SHA-256 in hexadecimal) only to who presents it.

    Raises Gone, CertificateChanged.
    """
    source = (source_address, 0) if source_address else None
    limit = min(CONNECT_SECONDS, max(0.1, seconds))
    try:
        plain = socket.create_connection((address, port), timeout=limit, source_address=source)
    except OSError as error:
        raise _gone(error) from error
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connected = _tls().wrap_socket(plain) if use_tls else plain
    except OSError as error:
        plain.close()
        raise _gone(error) from error
    connection = RouterConnection(RouterSocket(connected))
    if isinstance(connected, ssl.SSLSocket):
        connection.certificate = _fingerprint(connected)
        if certificate and connection.certificate != certificate:
            connection.socket.close()
            raise CertificateChanged(certificate, connection.certificate)
    return connection


def _fingerprint(connected: ssl.SSLSocket) -> str:
    presented = connected.getpeercert(binary_form=True) or b""
    return hashlib.sha256(presented).hexdigest()


def _tls() -> ssl.SSLContext:
    """Encrypted, with whatever certificate: routers sign their own, and their clocks may be wrong. Who it is follows
    from the pinned certificate, which the handshake proves possession of.

    Routers without a certificate offer anonymous key exchange only, which is not spoken here: nothing would tell them
    from somebody in between.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _gone(error: Exception) -> Gone:
    if isinstance(error, TimeoutError):
        return Gone("The router did not answer in time.")
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Gone(f"The connection to the router failed: {said}")
