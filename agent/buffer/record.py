"""One batch on disk: length, CRC, then a small head and the gzipped body as it travels.

A write that was cut short at any byte is recognised: its length runs past the end of the file or its CRC differs.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_FRAME = struct.Struct(">II")
_HEAD_LENGTH = struct.Struct(">I")
MAX_RECORD_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Dropped:
    """A range of sequences of one boot that is lost, as the server is told."""

    boot_id: str
    first: int
    last: int
    samples: int


@dataclass(frozen=True)
class Head:
    """What the buffer has to know of a batch without opening it."""

    batch_id: str
    boot_id: str
    sequence: int
    samples: int
    made_at: float
    tombstone: Dropped | None = None

    def as_json(self) -> bytes:
        lost = self.tombstone
        said = [self.batch_id, self.boot_id, self.sequence, self.samples, self.made_at]
        return json.dumps(
            [*said, [lost.boot_id, lost.first, lost.last, lost.samples] if lost else None]
        ).encode()


@dataclass(frozen=True)
class Place:
    """Where a record lies in its segment."""

    head: Head
    body_at: int
    body_length: int
    end: int


def encode(head: Head, body: bytes) -> bytes:
    """The bytes of one record."""
    text = head.as_json()
    payload = _HEAD_LENGTH.pack(len(text)) + text + body
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def scan(file: BinaryIO) -> Iterator[Place]:
    """The whole records from the file's begin; ends at the first that is cut or damaged."""
    at = 0
    while len(frame := file.read(_FRAME.size)) == _FRAME.size:
        length, checksum = _FRAME.unpack(frame)
        if not _HEAD_LENGTH.size <= length <= MAX_RECORD_BYTES:
            return
        payload = file.read(length)
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        head_length = _HEAD_LENGTH.unpack_from(payload)[0]
        try:
            head = _head(payload[_HEAD_LENGTH.size : _HEAD_LENGTH.size + head_length])
        except (ValueError, TypeError):
            return
        body_at = at + _FRAME.size + _HEAD_LENGTH.size + head_length
        at += _FRAME.size + length
        yield Place(head, body_at, at - body_at, at)


def _head(text: bytes) -> Head:
    batch_id, boot_id, sequence, samples, made_at, lost = json.loads(text)
    return Head(batch_id, boot_id, sequence, samples, made_at, Dropped(*lost) if lost else None)
