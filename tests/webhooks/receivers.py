"""Sixty receiver behaviors with the expected result of each attempt."""

import gzip
import time
from dataclasses import dataclass
from socket import socket

from apps.delivery.choices import Outcome
from tests.core.http.servers import Script, answer, raw, reset
from tests.supervisor.waiting import HANG_SECONDS

METADATA = "Location: http://169.254.169.254/latest/meta-data/"


@dataclass(frozen=True)
class Receiver:
    """One behavior: ``status`` and ``code`` are expected in the attempt."""

    name: str
    script: Script
    outcome: Outcome
    status: int | None = None
    code: str = ""
    #: "" for plain HTTP, else the state of the receiver's certificate.
    tls: str = ""
    #: The sender's timeout; short for receivers that never respond.
    seconds: float = HANG_SECONDS


def accepted(name: str, script: Script, status: int = 200) -> Receiver:
    return Receiver(name, script, Outcome.DELIVERED, status)


def rejected(status: int, *headers: str, name: str = "") -> Receiver:
    script = answer(f"{status} No", *headers)
    return Receiver(name or str(status), script, Outcome.REJECTED, status, f"status_{status}")


def failed(name: str, script: Script, code: str, tls: str = "") -> Receiver:
    seconds = 1.0 if "timeout" in code else HANG_SECONDS
    return Receiver(name, script, Outcome.FAILED, None, code, tls, seconds)


def hang(conn: socket, _: bytes) -> None:
    """Hang until the sender gives up."""
    while conn.recv(65_536):
        pass


def send_then_hang(data: bytes) -> Script:
    def script(conn: socket, request: bytes) -> None:
        conn.sendall(data)
        hang(conn, request)

    return script


def send_slowly(data: bytes, pause: float = 0.15) -> Script:
    def script(conn: socket, _: bytes) -> None:
        for byte in data:
            conn.sendall(bytes([byte]))
            time.sleep(pause)

    return script


def send_endlessly(head: bytes, piece: bytes) -> Script:
    def script(conn: socket, _: bytes) -> None:
        conn.sendall(head)
        while True:
            conn.sendall(piece)

    return script


def send_then_reset(data: bytes) -> Script:
    """Send these bytes, then reset the connection."""

    def script(conn: socket, request: bytes) -> None:
        conn.sendall(data)
        time.sleep(0.05)
        reset(conn, request)

    return script


OK = b"HTTP/1.1 200 OK\r\n"
#: Timeout for a body that hangs; long enough for a busy machine to read the head.
BODY_SECONDS = 5.0
BOMB = gzip.compress(bytes(10_000_000))
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

ACCEPTING = [
    *(accepted(str(status), answer(f"{status} Fine"), status) for status in (200, 201, 202, 204)),
    accepted("HTTP/1.0", raw(b"HTTP/1.0 200 OK\r\n\r\nthanks")),
    accepted("100 before 200", raw(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n")),
    accepted("no reason", raw(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")),
    accepted("only line feeds", raw(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok")),
    accepted("half a body", raw(OK + b"Content-Length: 100\r\n\r\nhalf")),
    accepted("a reset inside the body", send_then_reset(OK + b"Content-Length: 100\r\n\r\nhalf")),
    accepted("an endless body", send_endlessly(OK + b"\r\n", b"x" * 65_536)),
    accepted(
        "1 GB announced", send_endlessly(OK + b"Content-Length: 1000000000\r\n\r\n", b"x" * 65_536)
    ),
    accepted("a gzip bomb", answer("200 OK", "Content-Encoding: gzip", body=BOMB)),
    accepted("endless chunks", send_endlessly(CHUNKED, b"1\r\nx\r\n" * 1000)),
    accepted("a chunk of no size", raw(CHUNKED + b"zz\r\nhello\r\n")),
    accepted("a huge chunk", raw(CHUNKED + b"ffffffffffffffff\r\nx")),
    accepted("a negative length", raw(OK + b"Content-Length: -5\r\n\r\nhello")),
    accepted("a length in words", raw(OK + b"Content-Length: many\r\n\r\nhello")),
    accepted("two lengths", raw(OK + b"Content-Length: 1\r\nContent-Length: 9\r\n\r\nhello")),
    accepted("cookies", answer("200 OK", "Set-Cookie: a=b; Domain=.example")),
    accepted("binary body", answer("200 OK", body=bytes(range(256)))),
    accepted("markup", answer("200 OK", body=b"<script>alert(1)</script>")),
    accepted("a slow body", send_slowly(OK + b"\r\nthanks", pause=0.02)),
    Receiver(
        "a body that hangs",
        send_then_hang(OK + b"Content-Length: 5\r\n\r\n"),
        Outcome.DELIVERED,
        200,
        seconds=BODY_SECONDS,
    ),
    Receiver("TLS", answer("200 OK"), Outcome.DELIVERED, 200, tls="good"),
]

REJECTING = [
    *(rejected(status, METADATA) for status in (301, 302, 303, 307, 308)),
    rejected(302, "Location: file:///etc/passwd", name="302 to a file"),
    rejected(304),
    rejected(300),
    *(rejected(status) for status in (400, 401, 403, 404, 405, 409, 413, 418, 422)),
    *(
        rejected(429, f"Retry-After: {value}", name=f"429 {value}")
        for value in ("3", "Wed, 01 Jul 2099 12:00:00 GMT", "-1", "1000000000", "soon", "\x80")
    ),
    *(rejected(status) for status in (500, 501, 502, 504, 507, 599)),
    rejected(503, "Retry-After: 7", name="503 with Retry-After"),
]

FAILING = [
    failed("hangs", hang, "answer_timeout"),
    failed("a slow head", send_slowly(OK + b"X-A: b\r\n"), "answer_timeout"),
    failed("a slow line", send_slowly(b"HTTP/1.1 2"), "answer_timeout"),
    failed("a reset", reset, "connection_lost"),
    failed("closes", raw(b""), "connection_lost"),
    failed("HTTP/0.9", raw(b"<h1>It works</h1>\r\n\r\n"), "answer_malformed"),
    failed("another protocol", raw(b"220 mail ESMTP\r\n"), "answer_malformed"),
    failed("no number", raw(b"HTTP/1.1 OK\r\n\r\n"), "answer_malformed"),
    failed("a number of six digits", raw(b"HTTP/1.1 200000 OK\r\n\r\n"), "answer_malformed"),
    failed(
        "100,000 headers",
        raw(OK + b"X-A: b\r\n" * 100_000 + b"\r\n"),
        "answer_head_too_large|answer_malformed",
    ),
    failed(
        "an endless header",
        send_endlessly(OK + b"X-A: ", b"x" * 65_536),
        "answer_head_too_large|answer_malformed",
    ),
    failed(
        "an endless line",
        send_endlessly(b"HTTP/1.1 ", b"2" * 65_536),
        "answer_head_too_large|answer_malformed",
    ),
    failed(
        "100 for ever",
        send_endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "answer_head_too_large|answer_timeout",
    ),
    failed("no TLS", answer("200 OK"), "tls_failed|tls_timeout|connection_lost", tls="none"),
    failed("an expired certificate", answer("200 OK"), "tls_certificate", tls="expired"),
    failed("another host's certificate", answer("200 OK"), "tls_certificate", tls="other host"),
    failed("an unknown authority", answer("200 OK"), "tls_certificate", tls="unknown"),
]

RECEIVERS = [*ACCEPTING, *REJECTING, *FAILING]
