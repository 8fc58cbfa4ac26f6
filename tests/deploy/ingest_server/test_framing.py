"""The scanner ends a chunked body where gunicorn's parser does, however the bytes are cut."""

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from hypothesis import given
from hypothesis import strategies as st

from ispvm.deploy.ingest_server.framing import ChunkScanner

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\n"


def chunked(chunks: list[bytes], trailers: bytes = b"") -> bytes:
    sized = b"".join(b"%x;n=v\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return sized + b"0\r\n" + trailers + b"\r\n"


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    st.lists(st.integers(1, 40), max_size=30),
    st.sampled_from([b"", b"X-Trailer: 1\r\n"]),
)
def test_ends_where_the_parser_ends(chunks, sizes, trailers):
    body = chunked(chunks, trailers)
    scanner, received = ChunkScanner(), b""
    for piece in cut(body + NEXT, sizes):
        received += piece[: scanner.feed(piece)]

    assert (scanner.is_done, scanner.is_valid, received) == (True, True, body)
    request = next(get_parser(Config(), iter([HEAD, received]), ("127.0.0.1", 1)))
    assert request.body.read() == b"".join(chunks)


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"\r\n", b"-1\r\n", b"5\nhello", b"123456789\r\n", b"1" * 9000, b" 5\r\n"]
)
def test_a_malformed_chunk_ends_the_body(body):
    scanner = ChunkScanner()

    scanner.feed(body)

    assert (scanner.is_done, scanner.is_valid) == (True, False)


@given(st.binary(max_size=400), st.lists(st.integers(1, 40), max_size=20))
def test_consumes_no_more_than_its_input(data, sizes):
    scanner = ChunkScanner()
    for piece in cut(data, sizes):
        assert 0 <= scanner.feed(piece) <= len(piece)
