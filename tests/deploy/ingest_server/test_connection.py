"""One connection's states and deadlines, over a pair of sockets and a clock of the test's own."""

import socket
import tracemalloc
from collections.abc import Iterator
from typing import ClassVar

import pytest
from gunicorn.config import Config

from ispvm.deploy.ingest_server.connection import MAX_RECEIVES, Connection, Refused, State
from ispvm.deploy.ingest_server.limits import Limits
from ispvm.deploy.ingest_server.memory import CHUNK_SIZE, Buffered

LIMITS = Limits()
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class Pair:
    """A connection and the client at its other end."""

    all: ClassVar[list["Pair"]] = []

    def __init__(
        self,
        limits: Limits = LIMITS,
        *,
        is_local: bool = False,
        kind: int = socket.SOCK_STREAM,
        total: Buffered | None = None,
        certificate: bytes = b"",
    ) -> None:
        self.client, ours = socket.socketpair(socket.AF_UNIX, kind)
        ours.setblocking(False)
        self.client.settimeout(10)
        self.total = total or Buffered()
        self.connection = Connection(
            config=Config(),
            sock=ours,
            client=("10.0.0.1", 5),
            server=("10.0.0.2", 443),
            limits=limits,
            buffered=self.total,
            now=0.0,
        )
        self.all.append(self)
        self.connection.is_local = is_local
        self.connection.certificate = certificate

    def send(self, data: bytes, now: float = 0.0) -> State:
        self.client.sendall(data)
        while self.connection.read(now):
            pass
        return self.connection.state

    def answer(self, data: bytes, now: float) -> bool:
        self.connection.channel.sendall(data)
        self.connection.respond(now)
        return self.connection.flush()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for pair in Pair.all:
        pair.client.close()
        pair.connection.close()
    Pair.all.clear()


@pytest.fixture
def pair() -> Pair:
    return Pair()


class TestDeadlines:
    @pytest.mark.parametrize(
        ("sent", "state", "seconds"),
        [
            (b"", "headers", LIMITS.headers),
            (b"GET /x HTTP/1.1\r\nHost", "headers", LIMITS.headers),
            (POST % 200_000 + b"x" * 130_000, "body", LIMITS.body),  # fast enough
        ],
    )
    def test_each_step_has_a_deadline(self, pair, sent, state, seconds):
        if sent:
            pair.send(sent)
        assert pair.connection.timeout_reason(seconds - 0.1) == ""
        assert pair.connection.timeout_reason(seconds) == state

    def test_more_bytes_do_not_extend_the_deadline_of_headers(self, pair):
        pair.send(b"GET /x HTTP/1.1\r\n", now=0.0)
        pair.send(b"Host: a\r\n", now=LIMITS.headers - 0.1)

        assert pair.connection.timeout_reason(LIMITS.headers) == "headers"

    def test_a_body_below_the_minimum_rate_times_out_before_its_deadline(self, pair):
        pair.send(POST % 100_000)
        pair.send(b"x" * 100, now=5.0)

        assert pair.connection.timeout_reason(LIMITS.body_grace) == ""
        assert pair.connection.timeout_reason(LIMITS.body_grace + 0.1) == "body_rate"

    def test_a_body_at_the_minimum_rate_does_not_time_out(self, pair):
        pair.send(POST % 100_000)
        pair.send(b"x" * (LIMITS.body_rate * 30), now=29.0)

        assert pair.connection.timeout_reason(30.0) == ""

    def test_the_idle_timeout_is_shorter_without_a_certificate(self, pair):
        pair.send(GET)
        pair.connection.next_request(100.0)

        assert pair.connection.timeout_reason(100.0 + LIMITS.idle_anonymous) == "idle"
        pair.connection.certificate = b"der"
        pair.connection.next_request(100.0)
        assert pair.connection.timeout_reason(100.0 + LIMITS.idle - 1) == ""
        assert pair.connection.timeout_reason(100.0 + LIMITS.idle) == "idle"

    def test_a_client_that_does_not_read_times_out_and_occupies_no_thread(self, pair):
        pair.send(GET)

        assert not pair.answer(b"x" * 4 * 2**20, now=50.0)
        assert pair.connection.wants_write
        assert pair.connection.timeout_reason(50.0 + LIMITS.send) == "send"

    def test_a_request_in_progress_does_not_time_out(self, pair):
        assert pair.send(GET) is State.WORKING
        assert pair.connection.timeout_reason(10**9) == ""

    def test_lingers_after_the_last_response(self, pair):
        pair.send(GET)
        assert pair.answer(b"bye", now=1.0)
        pair.connection.linger(1.0)

        assert pair.client.recv(10) == b"bye"
        assert pair.send(b"still sending", now=1.5) is State.LINGER
        assert pair.connection.timeout_reason(1.0 + LIMITS.linger) == "linger"


class TestRequests:
    def test_is_complete_with_its_last_byte(self, pair):
        for byte in (POST % 3)[:-1] + b"\nab":
            assert pair.send(bytes([byte])) is not State.WORKING
        assert pair.send(b"c") is State.WORKING
        assert pair.connection.request.body.read() == b"abc"

    def test_a_pipelined_request_waits_for_the_first(self, pair):
        pair.send(POST % 3 + b"abc" + POST % 2 + b"de" + GET)
        bodies = []
        for _ in range(3):
            assert pair.connection.state is State.WORKING
            bodies.append(pair.connection.request.body.read())
            pair.connection.next_request(1.0)

        assert bodies == [b"abc", b"de", b""]
        assert pair.connection.state is State.IDLE

    def test_an_unread_body_is_not_parsed_as_the_next_request(self, pair):
        pair.send(POST % 30 + b"DELETE /y HTTP/1.1\r\nHost: a\r\n\r\n"[:30])
        pair.connection.next_request(1.0)

        assert pair.connection.state is State.IDLE

    def test_a_chunked_body_is_read_to_its_end(self, pair):
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

        assert pair.send(head + b"3\r\nab") is State.BODY
        assert pair.send(b"c\r\n0\r\n\r\n") is State.WORKING
        assert pair.connection.request.body.read() == b"abc"
        pair.connection.keep_alive = True
        assert pair.connection.can_keep_alive

    def test_a_truncated_body_ends_the_connection(self, pair):
        pair.send(POST % 30 + b"abc")
        pair.client.shutdown(socket.SHUT_WR)
        pair.connection.read(0.0)
        pair.connection.keep_alive = True

        assert pair.connection.state is State.WORKING
        assert pair.connection.request.body.read() == b"abc"
        assert not pair.connection.can_keep_alive

    def test_a_malformed_chunk_ends_the_connection(self, pair):
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert pair.send(head + b"zz\r\n") is State.WORKING
        pair.connection.keep_alive = True

        assert not pair.connection.can_keep_alive

    def test_continue_is_sent_before_the_body(self, pair):
        head = POST[:-2] + b"Expect: 100-continue\r\n\r\n"
        assert pair.send(head % 3) is State.BODY

        assert pair.client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def test_a_client_that_disconnects_is_closed(self, pair):
        pair.client.shutdown(socket.SHUT_WR)
        pair.connection.read(0.0)

        assert pair.connection.state is State.CLOSED


class TestSizes:
    @pytest.mark.parametrize("sent", [b"x" * 40_000, b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000])
    def test_headers_are_limited(self, pair, sent):
        with pytest.raises(Refused, match="headers_too_large"):
            pair.send(sent)

    def test_a_content_length_over_the_limit_is_refused_before_the_body(self, pair):
        with pytest.raises(Refused, match="too_large"):
            pair.send(POST % (LIMITS.body_bytes_anonymous + 1))

    def test_a_chunked_body_over_the_limit_is_refused_while_it_arrives(self, pair):
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        pair.send(head + b"%x\r\n" % 2**24)
        with pytest.raises(Refused, match="too_large"):
            for _ in range(10):
                pair.send(b"x" * CHUNK_SIZE)

    def test_a_certificate_raises_the_limit(self, pair):
        pair.connection.certificate = b"der"
        assert pair.send(POST % LIMITS.body_bytes) is State.BODY
        pair.connection.next_request(0.0)
        with pytest.raises(Refused, match="too_large"):
            pair.send(POST % (LIMITS.body_bytes + 1))

    def test_buffered_bytes_are_counted_and_released(self, pair):
        head = POST % 1000
        pair.send(head[:9])
        assert pair.total.size == 9
        pair.send(head[9:] + b"x" * 400)
        assert (pair.total.size, pair.total.complete) == (len(head) + 400, 0)
        pair.send(b"x" * 600)
        assert pair.total.size == pair.total.complete == len(head) + 1000
        assert pair.total.incomplete == 0
        pair.answer(b"bye", now=1.0)
        assert pair.total.size == pair.total.complete == 0

    @pytest.mark.parametrize("sent", [b"GET /x HT", POST % 9 + b"x", GET])
    def test_a_closed_connection_releases_its_bytes(self, pair, sent):
        pair.connection.certificate = b"der"
        pair.send(sent)
        assert pair.total.size == pair.total.of(b"der") == len(sent)
        pair.connection.close()

        assert (pair.total.size, pair.total.complete, pair.total.of(b"der")) == (0, 0, 0)

    def test_pipelined_bytes_are_counted(self, pair):
        pair.send(GET + GET)
        assert pair.total.size == 2 * len(GET)
        pair.connection.next_request(1.0)
        assert pair.total.size == len(GET)


class TestTinyRecords:
    """One packet is given by one call, as one TLS record is."""

    def test_memory_is_little_more_than_the_counted_bytes(self):
        pair = Pair(kind=socket.SOCK_SEQPACKET)
        pair.send(POST % 100_000)
        tracemalloc.start()
        try:
            for _ in range(10_000):
                pair.send(b"ab")
            total, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert pair.total.size >= 20_000
        assert total < 3 * pair.total.size

    def test_one_call_reads_a_limited_number(self):
        pair = Pair(kind=socket.SOCK_SEQPACKET)
        for packet in [POST % 9_000, *[b"x"] * 2 * MAX_RECEIVES]:
            pair.client.send(packet)
        before = len(POST % 9_000)

        assert pair.connection.read(0.0)  # more is there
        assert pair.total.size == before + MAX_RECEIVES - 1

    def test_keep_their_order(self):
        pair = Pair()
        body = bytes(range(256)) * 900
        pair.send(POST % len(body))
        for start in range(0, len(body), 7_000):
            pair.send(body[start : start + 7_000])

        assert pair.connection.state is State.WORKING
        assert pair.connection.request.body.read() == body


class TestShares:
    LIMITS = Limits(sender_bytes=10_000, complete_bytes=15_000)

    def fill(self, total: Buffered, certificate: bytes) -> Pair:
        pair = Pair(self.LIMITS, total=total, certificate=certificate)
        assert pair.send(POST % 8_000 + b"x" * 8_000) is State.WORKING
        return pair

    def test_a_certificate_over_its_limit_is_refused_at_once(self):
        total = Buffered()
        self.fill(total, b"a")
        with pytest.raises(Refused, match="sender_memory") as refused:
            Pair(self.LIMITS, total=total, certificate=b"a").send(POST % 3_000)

        assert refused.value.status.startswith("503")
        assert refused.value.retry_after > 0

    def test_a_content_length_over_the_remaining_limit_is_refused(self):
        total = Buffered()
        second = Pair(self.LIMITS, total=total, certificate=b"a")
        assert second.send(POST % 8_000) is State.BODY
        self.fill(total, b"a")
        with pytest.raises(Refused, match="sender_memory"):
            second.send(b"x" * 3_000)

    def test_another_certificate_is_not_affected(self):
        total = Buffered()
        self.fill(total, b"a")
        other = Pair(self.LIMITS, total=total, certificate=b"b")

        assert other.send(POST % 3_000 + b"x" * 3_000) is State.WORKING

    def test_the_response_releases_the_memory(self):
        total = Buffered()
        first = self.fill(total, b"a")
        first.answer(b"bye", now=1.0)

        assert total.of(b"a") == 0
        self.fill(total, b"a")

    def test_behind_nginx_the_certificate_comes_from_its_header(self):
        total = Buffered()

        def post(name: bytes) -> State:
            head = b"X-ISPVM-Client-Certificate: %s\r\n\r\n" % name
            pair = Pair(self.LIMITS, total=total, is_local=True)
            return pair.send((POST[:-2] % 6_000) + head + b"x" * 6_000)

        assert post(b"a") is State.WORKING
        with pytest.raises(Refused, match="sender_memory"):
            post(b"a")
        assert post(b"b") is State.WORKING

    def test_on_a_port_the_header_is_ignored(self):
        pair = Pair(self.LIMITS, certificate=b"a")
        pair.send(POST[:-2] % 9 + b"X-ISPVM-Client-Certificate: b\r\n\r\n")

        assert (pair.total.of("b"), pair.total.of(b"a")) == (0, pair.total.size)

    def test_complete_requests_share_a_limit(self):
        total = Buffered()
        self.fill(total, b"a")
        with pytest.raises(Refused, match="complete_memory"):
            Pair(self.LIMITS, total=total, certificate=b"b").send(POST % 8_000 + b"x" * 8_000)
