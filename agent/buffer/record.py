"""Format of one batch on disk: length, CRC, a small header, and the gzipped body as it is sent.

An incomplete write is recognized: its length runs past the end of the file or its CRC differs.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import BinaryIO

_FRAME = struct.Struct(">II")
_HEADER_LENGTH = struct.Struct(">I")
MAX_RECORD_BYTES = 64 * 2**20


@dataclass(frozen=True)
class DroppedRange:
    """A range of sequence numbers of one boot that was dropped, as reported to the server."""

    boot_id: str
    first: int
    last: int
    samples: int


@dataclass(frozen=True)
class BatchHeader:
    """What the buffer needs to know of a batch without decompressing it."""

    batch_id: str
    boot_id: str
    sequence: int
    samples: int
    created_at: float
    tombstone: DroppedRange | None = None

    def as_json(self) -> bytes:
        dropped = self.tombstone
        fields = [self.batch_id, self.boot_id, self.sequence, self.samples, self.created_at]
        return json.dumps([*fields, astuple(dropped) if dropped else None]).encode()


@dataclass(frozen=True)
class RecordLocation:
    """Offsets of a record in its segment file."""

    header: BatchHeader
    body_offset: int
    body_length: int
    end: int


def encode(header: BatchHeader, body: bytes) -> bytes:
    """The bytes of one record."""
    text = header.as_json()
    payload = _HEADER_LENGTH.pack(len(text)) + text + body
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def scan(file: BinaryIO) -> Iterator[RecordLocation]:
    """The complete records of a file; stops at the first that is incomplete or damaged."""
    offset = 0
    while len(frame := file.read(_FRAME.size)) == _FRAME.size:
        length, checksum = _FRAME.unpack(frame)
        if not _HEADER_LENGTH.size <= length <= MAX_RECORD_BYTES:
            return
        payload = file.read(length)
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        header_length = _HEADER_LENGTH.unpack_from(payload)[0]
        try:
            header = _parse_header(
                payload[_HEADER_LENGTH.size : _HEADER_LENGTH.size + header_length]
            )
        except (ValueError, TypeError):
            return
        body_offset = offset + _FRAME.size + _HEADER_LENGTH.size + header_length
        offset += _FRAME.size + length
        yield RecordLocation(header, body_offset, offset - body_offset, offset)


def ranges_of(headers: Iterable[BatchHeader]) -> list[DroppedRange]:
    """The sequence ranges of these batches by boot, with the ranges of their tombstones."""
    ranges: list[DroppedRange] = []
    for header in headers:
        if header.tombstone is not None:
            ranges.append(header.tombstone)
        ranges.append(
            DroppedRange(header.boot_id, header.sequence, header.sequence, header.samples)
        )
    return merge_ranges(ranges)


def merge_ranges(ranges: Iterable[DroppedRange]) -> list[DroppedRange]:
    """Join adjacent ranges of one boot."""
    result: list[DroppedRange] = []
    for current in sorted(ranges, key=lambda item: (item.boot_id, item.first)):
        last = result[-1] if result else None
        if last and last.boot_id == current.boot_id and current.first <= last.last + 1:
            end, samples = max(last.last, current.last), last.samples + current.samples
            result[-1] = DroppedRange(last.boot_id, last.first, end, samples)
        else:
            result.append(current)
    return result


def _parse_header(text: bytes) -> BatchHeader:
    batch_id, boot_id, sequence, samples, created_at, dropped = json.loads(text)
    tombstone = DroppedRange(*dropped) if dropped else None
    return BatchHeader(batch_id, boot_id, sequence, samples, created_at, tombstone)
