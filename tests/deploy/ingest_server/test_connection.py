"""One connection's states and deadlines, over a pair of sockets and a clock of the test's own."""

import socket
import tracemalloc
from collections.abc import Iterator
from typing import ClassVar

import pytest
from gunicorn.config import Config

from ispvm.deploy.ingest_server.connection import RECEIVES, Connection, Refused, State
from ispvm.deploy.ingest_server.limits import Limits
from ispvm.deploy.ingest_server.memory import PIECE, Buffered

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
        held: Buffered | None = None,
        certificate: bytes = b"",
    ) -> None:
        self.client, ours = socket.socketpair(socket.AF_UNIX, kind)
        ours.setblocking(False)
        self.client.settimeout(10)
        self.held = held or Buffered()
        self.connection = Connection(
            config=Config(),
            sock=ours,
            client=("10.0.0.1", 5),
            server=("10.0.0.2", 443),
            limits=limits,
            buffered=self.held,
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
    for made in Pair.all:
        made.client.close()
        made.connection.close()
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
    def test_a_step_that_is_not_done_in_its_time_is_late(self, pair, sent, state, seconds):
        if sent:
            pair.send(sent)
        assert pair.connection.late_reason(seconds - 0.1) == ""
        assert pair.connection.late_reason(seconds) == state

    def test_more_bytes_do_not_put_headers_off(self, pair):
        pair.send(b"GET /x HTTP/1.1\r\n", now=0.0)
        pair.send(b"Host: a\r\n", now=LIMITS.headers - 0.1)

        assert pair.connection.late_reason(LIMITS.headers) == "headers"

    def test_a_body_that_drips_is_late_long_before_its_deadline(self, pair):
        pair.send(POST % 100_000)
        pair.send(b"x" * 100, now=5.0)

        assert pair.connection.late_reason(LIMITS.body_grace) == ""
        assert pair.connection.late_reason(LIMITS.body_grace + 0.1) == "body_rate"

    def test_a_body_at_the_least_rate_is_not(self, pair):
        pair.send(POST % 100_000)
        pair.send(b"x" * (LIMITS.body_rate * 30), now=29.0)

        assert pair.connection.late_reason(30.0) == ""

    def test_idle_is_shorter_without_a_certificate(self, pair):
        pair.send(GET)
        pair.connection.next_request(100.0)

        assert pair.connection.late_reason(100.0 + LIMITS.idle_anonymous) == "idle"
        pair.connection.certificate = b"der"
        pair.connection.next_request(100.0)
        assert pair.connection.late_reason(100.0 + LIMITS.idle - 1) == ""
        assert pair.connection.late_reason(100.0 + LIMITS.idle) == "idle"

    def test_a_client_that_does_not_read_is_late_and_holds_no_thread(self, pair):
        pair.send(GET)

        assert not pair.answer(b"x" * 4 * 2**20, now=50.0)
        assert pair.connection.wants_write
        assert pair.connection.late_reason(50.0 + LIMITS.send) == "send"

    def test_who_is_worked_for_is_never_late(self, pair):
        assert pair.send(GET) is State.WORKING
        assert pair.connection.late_reason(10**9) == ""

    def test_after_the_last_response_input_is_read_for_a_while(self, pair):
        pair.send(GET)
        assert pair.answer(b"bye", now=1.0)
        pair.connection.linger(1.0)

        assert pair.client.recv(10) == b"bye"
        assert pair.send(b"still sending", now=1.5) is State.LINGER
        assert pair.connection.late_reason(1.0 + LIMITS.linger) == "linger"


class TestRequests:
    def test_is_complete_with_its_last_byte(self, pair):
        for byte in (POST % 3)[:-1] + b"\nab":
            assert pair.send(bytes([byte])) is not State.WORKING
        assert pair.send(b"c") is State.WORKING
        assert pair.connection.request.body.read() == b"abc"

    def test_a_second_one_behind_it_waits_for_its_turn(self, pair):
        pair.send(POST % 3 + b"abc" + POST % 2 + b"de" + GET)
        bodies = []
        for _ in range(3):
            assert pair.connection.state is State.WORKING
            bodies.append(pair.connection.request.body.read())
            pair.connection.next_request(1.0)

        assert bodies == [b"abc", b"de", b""]
        assert pair.connection.state is State.IDLE

    def test_a_body_nobody_read_is_not_the_next_request(self, pair):
        pair.send(POST % 30 + b"DELETE /y HTTP/1.1\r\nHost: a\r\n\r\n"[:30])
        pair.connection.next_request(1.0)

        assert pair.connection.state is State.IDLE

    def test_a_chunked_body_is_read_to_its_end(self, pair):
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

        assert pair.send(head + b"3\r\nab") is State.BODY
        assert pair.send(b"c\r\n0\r\n\r\n") is State.WORKING
        assert pair.connection.request.body.read() == b"abc"
        pair.connection.keep_alive = True
        assert pair.connection.may_go_on

    def test_a_body_that_ends_early_is_the_last(self, pair):
        pair.send(POST % 30 + b"abc")
        pair.client.shutdown(socket.SHUT_WR)
        pair.connection.read(0.0)
        pair.connection.keep_alive = True

        assert pair.connection.state is State.WORKING
        assert pair.connection.request.body.read() == b"abc"
        assert not pair.connection.may_go_on

    def test_a_malformed_chunk_ends_the_connection(self, pair):
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert pair.send(head + b"zz\r\n") is State.WORKING
        pair.connection.keep_alive = True

        assert not pair.connection.may_go_on

    def test_continue_is_sent_before_the_body(self, pair):
        head = POST[:-2] + b"Expect: 100-continue\r\n\r\n"
        assert pair.send(head % 3) is State.BODY

        assert pair.client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def test_a_client_that_leaves_is_closed(self, pair):
        pair.client.shutdown(socket.SHUT_WR)
        pair.connection.read(0.0)

        assert pair.connection.state is State.CLOSED


class TestSizes:
    @pytest.mark.parametrize("sent", [b"x" * 40_000, b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000])
    def test_headers_are_bounded(self, pair, sent):
        with pytest.raises(Refused, match="headers_too_large"):
            pair.send(sent)

    def test_an_announced_body_is_refused_before_it_is_read(self, pair):
        with pytest.raises(Refused, match="too_large"):
            pair.send(POST % (LIMITS.body_bytes_anonymous + 1))

    def test_a_chunked_one_while_it_streams(self, pair):
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        pair.send(head + b"%x\r\n" % 2**24)
        with pytest.raises(Refused, match="too_large"):
            for _ in range(10):
                pair.send(b"x" * PIECE)

    def test_a_certificate_allows_a_batch(self, pair):
        pair.connection.certificate = b"der"
        assert pair.send(POST % LIMITS.body_bytes) is State.BODY
        pair.connection.next_request(0.0)
        with pytest.raises(Refused, match="too_large"):
            pair.send(POST % (LIMITS.body_bytes + 1))

    def test_what_is_held_is_counted_and_given_back(self, pair):
        head = POST % 1000
        pair.send(head[:9])
        assert pair.held.size == 9
        pair.send(head[9:] + b"x" * 400)
        assert (pair.held.size, pair.held.complete) == (len(head) + 400, 0)
        pair.send(b"x" * 600)
        assert pair.held.size == pair.held.complete == len(head) + 1000
        assert pair.held.incomplete == 0
        pair.answer(b"bye", now=1.0)
        assert pair.held.size == pair.held.complete == 0

    @pytest.mark.parametrize("sent", [b"GET /x HT", POST % 9 + b"x", GET])
    def test_a_closed_connection_gives_everything_back(self, pair, sent):
        pair.connection.certificate = b"der"
        pair.send(sent)
        assert pair.held.size == pair.held.of(b"der") == len(sent)
        pair.connection.close()

        assert (pair.held.size, pair.held.complete, pair.held.of(b"der")) == (0, 0, 0)

    def test_what_waits_behind_a_request_is_counted(self, pair):
        pair.send(GET + GET)
        assert pair.held.size == 2 * len(GET)
        pair.connection.next_request(1.0)
        assert pair.held.size == len(GET)


class TestTinyRecords:
    """One packet is given by one call, as one TLS record is."""

    def test_hold_little_more_than_is_counted(self):
        pair = Pair(kind=socket.SOCK_SEQPACKET)
        pair.send(POST % 100_000)
        tracemalloc.start()
        try:
            for _ in range(10_000):
                pair.send(b"ab")
            held, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert pair.held.size >= 20_000
        assert held < 3 * pair.held.size

    def test_give_way_to_others_after_a_few(self):
        pair = Pair(kind=socket.SOCK_SEQPACKET)
        for packet in [POST % 9_000, *[b"x"] * 2 * RECEIVES]:
            pair.client.send(packet)
        before = len(POST % 9_000)

        assert pair.connection.read(0.0)  # more is there
        assert pair.held.size == before + RECEIVES - 1

    def test_come_out_as_they_came_in(self):
        pair = Pair()
        body = bytes(range(256)) * 900
        pair.send(POST % len(body))
        for start in range(0, len(body), 7_000):
            pair.send(body[start : start + 7_000])

        assert pair.connection.state is State.WORKING
        assert pair.connection.request.body.read() == body


class TestShares:
    LIMITS = Limits(sender_bytes=10_000, complete_bytes=15_000)

    def fill(self, held: Buffered, certificate: bytes) -> Pair:
        pair = Pair(self.LIMITS, held=held, certificate=certificate)
        assert pair.send(POST % 8_000 + b"x" * 8_000) is State.WORKING
        return pair

    def test_a_certificate_that_holds_its_share_is_refused_at_once(self):
        held = Buffered()
        self.fill(held, b"a")
        with pytest.raises(Refused, match="sender_memory") as refused:
            Pair(self.LIMITS, held=held, certificate=b"a").send(POST % 3_000)

        assert refused.value.status.startswith("503")
        assert refused.value.retry_after > 0

    def test_so_is_what_was_announced_before(self):
        held = Buffered()
        second = Pair(self.LIMITS, held=held, certificate=b"a")
        assert second.send(POST % 8_000) is State.BODY
        self.fill(held, b"a")
        with pytest.raises(Refused, match="sender_memory"):
            second.send(b"x" * 3_000)

    def test_another_certificate_is_not(self):
        held = Buffered()
        self.fill(held, b"a")
        other = Pair(self.LIMITS, held=held, certificate=b"b")

        assert other.send(POST % 3_000 + b"x" * 3_000) is State.WORKING

    def test_the_share_comes_back_with_the_response(self):
        held = Buffered()
        first = self.fill(held, b"a")
        first.answer(b"bye", now=1.0)

        assert held.of(b"a") == 0
        self.fill(held, b"a")

    def test_behind_nginx_its_header_tells_the_certificate(self):
        held = Buffered()

        def post(name: bytes) -> State:
            head = b"X-ISPVM-Client-Certificate: %s\r\n\r\n" % name
            pair = Pair(self.LIMITS, held=held, is_local=True)
            return pair.send((POST[:-2] % 6_000) + head + b"x" * 6_000)

        assert post(b"a") is State.WORKING
        with pytest.raises(Refused, match="sender_memory"):
            post(b"a")
        assert post(b"b") is State.WORKING

    def test_on_a_port_the_header_tells_nothing(self):
        pair = Pair(self.LIMITS, certificate=b"a")
        pair.send(POST[:-2] % 9 + b"X-ISPVM-Client-Certificate: b\r\n\r\n")

        assert (pair.held.of("b"), pair.held.of(b"a")) == (0, pair.held.size)

    def test_complete_requests_are_bounded_together(self):
        held = Buffered()
        self.fill(held, b"a")
        with pytest.raises(Refused, match="complete_memory"):
            Pair(self.LIMITS, held=held, certificate=b"b").send(POST % 8_000 + b"x" * 8_000)
