"""The hash chain, pure: each record's hash covers its own fields and the hash before it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

GENESIS = b"\0" * 32


@dataclass(frozen=True)
class Link:
    """One record as the chain sees it."""

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
    """SHA-256 over length-prefixed parts, so that no two records can serialise alike."""
    parts = (
        str(sequence).encode(),
        at.isoformat(timespec="microseconds").encode(),
        action.encode(),
        orjson.dumps(dict(actor), option=orjson.OPT_SORT_KEYS),
        entity_type.encode(),
        entity_id.encode(),
        orjson.dumps(dict(detail), option=orjson.OPT_SORT_KEYS),
        previous,
    )
    summed = hashlib.sha256()
    for part in parts:
        summed.update(len(part).to_bytes(8, "big"))
        summed.update(part)
    return summed.digest()


def first_fault(links: Iterable[Link]) -> int | None:
    """The sequence of the first record that was changed, removed or moved; None if the chain holds."""
    previous, expected = GENESIS, 1
    for link in links:
        own = digest_of(
            sequence=link.sequence,
            at=link.at,
            action=link.action,
            actor=link.actor,
            entity_type=link.entity_type,
            entity_id=link.entity_id,
            detail=link.detail,
            previous=link.previous,
        )
        if link.sequence != expected or link.previous != previous or link.digest != own:
            return expected
        previous, expected = link.digest, expected + 1
    return None
