"""Sixty ways in which receivers answer, and what each must come to."""

import gzip
import time
from dataclasses import dataclass
from socket import socket

from apps.webhooks.choices import Outcome
from tests.core.http.servers import Script, answer, raw, reset
from tests.supervisor.waiting import HANG_SECONDS

METADATA = "Location: http://169.254.169.254/latest/meta-data/"


@dataclass(frozen=True)
class Receiver:
    """One behaviour: ``status`` and ``code`` are what the ledger must say of the attempt."""

    name: str
    script: Script
    outcome: Outcome
    status: int | None = None
    code: str = ""
    #: "" for plain HTTP, else the fault of the receiver's certificate.
    tls: str = ""
    #: How long the sender waits: no longer than it must for those that never answer.
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
    """Until the sender gives up."""
    while conn.recv(65_536):
        pass


def then_hang(data: bytes) -> Script:
    def script(conn: socket, request: bytes) -> None:
        conn.sendall(data)
        hang(conn, request)

    return script


def slowly(data: bytes, pause: float = 0.15) -> Script:
    def script(conn: socket, _: bytes) -> None:
        for byte in data:
            conn.sendall(bytes([byte]))
            time.sleep(pause)

    return script


def forever(head: bytes, piece: bytes) -> Script:
    def script(conn: socket, _: bytes) -> None:
        conn.sendall(head)
        while True:
            conn.sendall(piece)

    return script


def torn(data: bytes) -> Script:
    """These bytes, then a reset."""

    def script(conn: socket, request: bytes) -> None:
        conn.sendall(data)
        time.sleep(0.05)
        reset(conn, request)

    return script


OK = b"HTTP/1.1 200 OK\r\n"
#: Within this a busy machine must have read the head; all of it is spent on a body that hangs.
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
    accepted("a reset inside the body", torn(OK + b"Content-Length: 100\r\n\r\nhalf")),
    accepted("an endless body", forever(OK + b"\r\n", b"x" * 65_536)),
    accepted("1 GB announced", forever(OK + b"Content-Length: 1000000000\r\n\r\n", b"x" * 65_536)),
    accepted("a gzip bomb", answer("200 OK", "Content-Encoding: gzip", body=BOMB)),
    accepted("endless chunks", forever(CHUNKED, b"1\r\nx\r\n" * 1000)),
    accepted("a chunk of no size", raw(CHUNKED + b"zz\r\nhello\r\n")),
    accepted("a huge chunk", raw(CHUNKED + b"ffffffffffffffff\r\nx")),
    accepted("a negative length", raw(OK + b"Content-Length: -5\r\n\r\nhello")),
    accepted("a length in words", raw(OK + b"Content-Length: many\r\n\r\nhello")),
    accepted("two lengths", raw(OK + b"Content-Length: 1\r\nContent-Length: 9\r\n\r\nhello")),
    accepted("cookies", answer("200 OK", "Set-Cookie: a=b; Domain=.example")),
    accepted("binary body", answer("200 OK", body=bytes(range(256)))),
    accepted("markup", answer("200 OK", body=b"<script>alert(1)</script>")),
    accepted("a slow body", slowly(OK + b"\r\nthanks", pause=0.02)),
    Receiver(
        "a body that hangs",
        then_hang(OK + b"Content-Length: 5\r\n\r\n"),
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
    failed("a slow head", slowly(OK + b"X-A: b\r\n"), "answer_timeout"),
    failed("a slow line", slowly(b"HTTP/1.1 2"), "answer_timeout"),
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
        forever(OK + b"X-A: ", b"x" * 65_536),
        "answer_head_too_large|answer_malformed",
    ),
    failed(
        "an endless line",
        forever(b"HTTP/1.1 ", b"2" * 65_536),
        "answer_head_too_large|answer_malformed",
    ),
    failed(
        "100 for ever",
        forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "answer_head_too_large|answer_timeout",
    ),
    failed("no TLS", answer("200 OK"), "tls_failed|tls_timeout|connection_lost", tls="none"),
    failed("an expired certificate", answer("200 OK"), "tls_certificate", tls="expired"),
    failed("another host's certificate", answer("200 OK"), "tls_certificate", tls="other host"),
    failed("an unknown authority", answer("200 OK"), "tls_certificate", tls="unknown"),
]

RECEIVERS = [*ACCEPTING, *REJECTING, *FAILING]
