"""Decode a request body with bounds: limits apply while streaming, before anything is parsed."""

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import zstandard
from gunicorn.http.errors import ParseException

from agent.protocol.batch import MAX_COMPRESSED_BYTES, MAX_DECODED_BYTES, MAX_RATIO
from apps.ingest.errors import BodyInvalid, BodyTooLarge, EncodingUnknown

CHUNK_SIZE = 64 * 1024
# A short body may exceed the ratio without being a decompression bomb.
RATIO_FREE_BYTES = 1024 * 1024


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


_Decoder = Callable[[bytes], bytes]


def read_body(stream: Readable, *, encoding: str, length: int | None) -> bytes:
    """The decoded body. Raises BodyTooLarge, EncodingUnknown, BodyInvalid.

    ``length`` is the Content-Length, or None when the body is chunked.
    """
    decode, finished = _decoder(encoding.strip().lower())
    if length is not None and length > MAX_COMPRESSED_BYTES:
        raise BodyTooLarge(message="The encoded body is over 10 MiB.")
    received = 0
    decoded = bytearray()
    while length is None or received < length:
        chunk = _read(stream, CHUNK_SIZE if length is None else min(CHUNK_SIZE, length - received))
        if not chunk:
            break
        received += len(chunk)
        if received > MAX_COMPRESSED_BYTES:
            raise BodyTooLarge(message="The encoded body is over 10 MiB.")
        # Decoded in small parts: each can grow at most about a thousandfold.
        for start in range(0, len(chunk), 4096):
            decoded += _decode(decode, chunk[start : start + 4096])
            _check_growth(len(decoded), received)
    if length is not None and received < length:
        raise BodyInvalid("truncated_body", "The body ended before its Content-Length.")
    if not finished():
        raise BodyInvalid("truncated_body", "The compressed body ended early.")
    return bytes(decoded)


def _read(stream: Readable, size: int) -> bytes:
    try:
        return stream.read(size)
    except (OSError, ParseException) as error:  # gunicorn's errors are of either kind
        raise BodyInvalid(
            "truncated_body", "The body ended early, or its chunked encoding is malformed."
        ) from error


def _check_growth(decoded: int, received: int) -> None:
    if decoded > MAX_DECODED_BYTES:
        raise BodyTooLarge(message="The body is over 64 MiB decoded.")
    if decoded > RATIO_FREE_BYTES and decoded > received * MAX_RATIO:
        raise BodyTooLarge(
            message=f"The body grows by more than a factor of {MAX_RATIO} when decoded."
        )


def _decode(decode: _Decoder, part: bytes) -> bytes:
    try:
        return decode(part)
    except (zlib.error, zstandard.ZstdError) as error:
        raise BodyInvalid(
            "bad_compression", "The body does not match its Content-Encoding."
        ) from error


def _feed(decoder: Any, part: bytes) -> bytes:
    decompressed: bytes = decoder.decompress(part)
    return decompressed


def _decoder(encoding: str) -> tuple[_Decoder, Callable[[], bool]]:
    if encoding in {"", "identity"}:
        return (lambda data: data), (lambda: True)
    if encoding == "gzip":
        gunzip = zlib.decompressobj(wbits=31)
        return partial(_feed, gunzip), (lambda: gunzip.eof and not gunzip.unused_data)
    if encoding == "zstd":
        # A frame declares its window: without a bound a few bytes could allocate gigabytes.
        unzstd = zstandard.ZstdDecompressor(max_window_size=2**23).decompressobj()
        return partial(_feed, unzstd), (lambda: bool(unzstd.eof) and not unzstd.unused_data)
    raise EncodingUnknown(message="Content-Encoding must be gzip, zstd or identity.")
