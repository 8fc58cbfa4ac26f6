"""The hash chain, pure: each record's hash covers its own fields and the hash before it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

GENESIS = b"\0" * 32
#: From 10^15 on, Python writes floats with an exponent, and PostgreSQL returns them as integers.
_MAX_EXACT = 10**15
_HASHED_FIELDS = ("sequence", "at", "action", "actor", "entity_type", "entity_id", "previous")


@dataclass(frozen=True)
class ChainedRecord:
    """The fields of a record that the chain covers."""

    sequence: int
    at: datetime
    action: str
    actor: Mapping[str, str]
    entity_type: str
    entity_id: str
    detail: Mapping[str, Any]
    previous: bytes
    digest: bytes


def digest_of(
    *,
    sequence: int,
    at: datetime,
    action: str,
    actor: Mapping[str, str],
    entity_type: str,
    entity_id: str,
    detail: Mapping[str, Any],
    previous: bytes,
) -> bytes:
    """SHA-256 over length-prefixed parts, so that different records cannot serialize to the same bytes."""
    parts = (
        str(sequence).encode(),
        at.astimezone(UTC).isoformat(timespec="microseconds").encode(),
        action.encode(),
        orjson.dumps(dict(actor), option=orjson.OPT_SORT_KEYS),
        entity_type.encode(),
        entity_id.encode(),
        orjson.dumps(dict(detail), option=orjson.OPT_SORT_KEYS),
        previous,
    )
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()


@dataclass(frozen=True)
class Checkpoint:
    """The sequence and hash of a record; the hash covers all earlier records."""

    sequence: int = 0
    digest: bytes = GENESIS

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest.hex()}"


class Fault(StrEnum):
    """What is wrong at a position of the chain."""

    CHANGED = "changed"
    MISSING = "missing"
    #: The content matches its own hash, but ``previous`` is not the hash of the record before it.
    UNLINKED = "unlinked"
    #: Records at the end are missing: the stored head, or a head saved elsewhere, has a higher sequence.
    CUT = "cut"
    #: The last record does not match the stored head, or a head saved elsewhere.
    HEAD_DIFFERS = "head_differs"
    #: Records after the stored head.
    BEYOND_HEAD = "beyond_head"


def fault_of(record: ChainedRecord, after: Checkpoint) -> Fault | None:
    """What is wrong with the next record after a checkpoint; None if it is valid."""
    if record.sequence != after.sequence + 1:
        return Fault.MISSING
    if not _matches_digest(record):
        return Fault.CHANGED
    return None if record.previous == after.digest else Fault.UNLINKED


def normalize_for_jsonb(value: Any) -> Any:
    """Normalize to what PostgreSQL returns: numbers that jsonb changes become strings."""
    if isinstance(value, Mapping):
        return {str(name): normalize_for_jsonb(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [normalize_for_jsonb(inner) for inner in value]
    if isinstance(value, float):
        if value == 0:
            return 0.0  # jsonb has no negative zero
        return value if abs(value) < _MAX_EXACT else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**63 else str(value)
    return value


def _matches_digest(record: ChainedRecord) -> bool:
    """Whether the record's hash matches its content."""
    fields = {name: getattr(record, name) for name in _HASHED_FIELDS}
    for detail in (record.detail, _restore_floats(record.detail)):
        try:
            if digest_of(**{**fields, "detail": detail}) == record.digest:
                return True
        except TypeError:  # an integer of more than 64 bits: see _restore_floats
            continue
    return False


def _restore_floats(value: Any) -> Any:
    """For records written before ``storable`` existed: PostgreSQL returns 1e16 as an integer."""
    if isinstance(value, Mapping):
        return {name: _restore_floats(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_restore_floats(inner) for inner in value]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) >= _MAX_EXACT else value
