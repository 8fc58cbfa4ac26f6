"""Time and memory limits per client. The handbook (agents.md) documents these figures."""

from dataclasses import dataclass

KIB, MIB = 2**10, 2**20


@dataclass(frozen=True)
class Limits:
    """Deadlines in seconds, sizes in bytes. All counts are per process: gunicorn runs two."""

    #: From accept to the end of the TLS handshake.
    handshake: float = 5.0
    #: From the handshake, or the first byte of a later request, to the empty line.
    headers: float = 10.0
    #: From the empty line to the last byte of the body.
    body: float = 120.0
    #: A body must average this many bytes per second once the grace is over.
    body_rate: int = 1 * KIB
    body_grace: float = 10.0
    #: From the response's first byte to its last.
    send: float = 30.0
    #: Between two requests of a connection with, and without, a client certificate.
    idle: float = 75.0
    idle_anonymous: float = 10.0
    #: After the last response, so that a client that is still sending can read it before the reset.
    linger: float = 2.0
    linger_bytes: int = 16 * MIB

    header_bytes: int = 32 * KIB
    #: A body with, and without (enrolment), a client certificate.
    body_bytes: int = 10 * MIB
    body_bytes_anonymous: int = 256 * KIB
    #: Incomplete requests of all connections together.
    buffered_bytes: int = 64 * MIB
    #: Complete requests, until their response is ready.
    complete_bytes: int = 64 * MIB
    #: All requests of one client certificate, complete or not.
    sender_bytes: int = 16 * MIB

    connections: int = 1000
    #: Without a client certificate, from one address.
    per_address: int = 64
    #: With the same client certificate.
    per_certificate: int = 16
