"""Hostile batches: every field of a valid batch with every invalid value.

A body is text with raw JSON in one field, so that it can hold what ``json.dumps`` never writes.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HOLE = "@hole@"

VALUES = {
    "null": "null",
    "true": "true",
    "empty text": '""',
    "text": '"x"',
    "negative": "-1",
    "fraction": "0.5",
    "past float64": "1e999",
    "5,000 digits": "9" * 5000,
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "hexadecimal": "0x1F",
    "leading zero": "012",
    "empty list": "[]",
    "list of itself": '[[["x"]]]',
    "empty object": "{}",
    "object": '{"a": 1}',
    "repeated key": '{"a": 1, "a": 2}',
    "NUL": '"a\\u0000b"',
    "lone surrogate": '"\\ud800"',
    "raw control byte": '"a\x01b"',
    "17 brackets": "[" * 17 + "]" * 17,
    "100 kB of text": '"' + "x" * 100_000 + '"',
    "zero uuid in braces": '"{00000000-0000-0000-0000-000000000000}"',
    "nothing": "",
}

FRAME = (
    ("schema_version",),
    ("batch_id",),
    ("boot_id",),
    ("sequence",),
    ("sent_at",),
    ("agent",),
    ("agent", "id"),
    ("metrics",),
    ("events",),
    ("dropped",),
    ("inventory_patch",),
    ("tenant_id",),
)
ITEMS = (
    *(("metrics", 0, name) for name in ("ts", "metric_name", "entity_type", "entity_id")),
    *(("metrics", 0, name) for name in ("value_num", "labels", "source", "quality")),
    *(("events", 0, name) for name in ("id", "ts", "event_type", "severity", "entity_type")),
    *(("events", 0, name) for name in ("entity_id", "payload", "raw")),
    *(("inventory_patch", "devices", 0, name) for name in ("id", "identity", "model")),
)

#: Values that are valid in this field.
VALID = {
    ("metrics",): {"empty list"},
    ("events",): {"empty list"},
    ("dropped",): {"null"},
    ("inventory_patch",): {"null", "empty object"},
    ("tenant_id",): {"null"},
    ("metrics", 0, "value_num"): {"negative", "fraction"},
    ("metrics", 0, "labels"): {"null", "empty object"},
    ("metrics", 0, "source"): {"null"},
    ("metrics", 0, "quality"): {"null"},
    ("events", 0, "payload"): {"empty object", "object"},
    **{
        ("inventory_patch", "devices", 0, name): {
            *("null", "empty text", "text", "zero uuid in braces"),
        }
        for name in ("identity", "model")
    },
    ("events", 0, "raw"): {"null", "empty text", "text", "zero uuid in braces"},
}


@dataclass(frozen=True)
class Hostile:
    """One body, what is invalid in it, and the kind of item that must be rejected (None: the whole batch)."""

    name: str
    body: bytes
    item: str | None


def hostile_batches(batch: dict[str, Any], item: str | None) -> Iterator[Hostile]:
    """Every value in every field of this kind of item; for None of the batch itself, and truncated text."""
    for path in FRAME if item is None else [path for path in ITEMS if path[0] == item]:
        frame = json.dumps(_with_hole(batch, path))
        for name, text in VALUES.items():
            if name not in VALID.get(path, ()):
                body = frame.replace(f'"{HOLE}"', text)
                location = ".".join(map(str, path))
                yield Hostile(f"{location}: {name}", body.encode("utf-8", "surrogatepass"), item)
    if item is None:
        yield from _truncated(json.dumps(batch).encode())


def _with_hole(batch: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    copy: Any = json.loads(json.dumps(batch))
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = HOLE
    return dict(copy)


def _truncated(valid: bytes) -> Iterator[Hostile]:
    step = len(valid) // 20
    for end in range(1, len(valid), step):
        yield Hostile(f"cut at {end}", valid[:end], None)
    yield Hostile("twice", valid * 2, None)
    for name in ("batch_id", "sequence", "metrics"):
        again = f', "{name}": {json.dumps(json.loads(valid)[name])}}}'.encode()
        yield Hostile(f"{name} twice", valid[:-1] + again, None)


def mutate(valid: bytes, rng: random.Random) -> bytes:
    """The valid text with up to eight changes: bytes flipped, removed, repeated or inserted."""
    text = bytearray(valid)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(text))
        piece = text[at : at + rng.randint(1, 12)]
        match rng.randrange(4):
            case 0:
                text[at] ^= 1 << rng.randrange(8)
            case 1 if len(text) > len(piece) + 1:
                del text[at : at + len(piece)]
            case 2:
                text[at:at] = piece
            case _:
                text[at : at + 1] = rng.choice(
                    (b'"', b"{", b"}", b"[", b",", b":", b"\\u0000", b"\xff")
                )
    return bytes(text)
