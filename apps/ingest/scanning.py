"""Checks of a JSON text before it is parsed: nesting depth and number of pairs, linear in its size."""

from typing import Any

from agent.protocol.batch import MAX_DEPTH
from apps.ingest.errors import BodyInvalid

_STRUCTURAL = b'"[]{}:'
_NOT_STRUCTURAL = bytes(set(range(256)) - set(_STRUCTURAL))
_ONE_BRACKET = bytes.maketrans(b"{}", b"[]")
_CHUNK = 2**20
_LARGEST = 2**1024  # an integer beyond this has no float64


def count_pairs(body: bytes) -> int:
    """Number of ``key: value`` pairs in the text. Raises BodyInvalid when it is nested deeper than 16."""
    outside = _outside_strings(body)
    pairs = outside.count(b":")
    brackets = outside.translate(_ONE_BRACKET, b":")
    # Each pass removes the innermost level, so nothing is left of a valid body after 16.
    for _ in range(MAX_DEPTH):
        previous, brackets = brackets, brackets.replace(b"[]", b"")
        if len(brackets) == len(previous):
            break
    _check_depth(brackets)
    return pairs


def _outside_strings(body: bytes) -> bytes:
    """The brackets and colons that are not inside a string."""
    if b"\\" in body:
        # Backslashes pair off from the left; a remaining one escapes the quote after it.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two adjacent quotes do not affect what follows; normal bodies have hardly any others.
    structure = body.translate(None, _NOT_STRUCTURAL).replace(b'""', b"")
    if b'"' not in structure:
        return structure
    outside, is_inside = [], 0
    for start in range(0, len(structure), _CHUNK):  # in chunks: a list of all parts could be huge
        parts = structure[start : start + _CHUNK].split(b'"')
        outside.append(b"".join(parts[is_inside::2]))
        is_inside ^= (len(parts) - 1) & 1
    return b"".join(outside)


def _check_depth(brackets: bytes) -> None:
    depth = 0
    for bracket in brackets:  # ends within 17 levels, or at the first unmatched closing bracket
        depth += 1 if bracket == ord("[") else -1
        if depth > MAX_DEPTH:
            raise BodyInvalid("too_deep", f"Nested deeper than {MAX_DEPTH}.")
        if depth < 0:
            return


def check_document(document: Any, pairs: int) -> None:
    """Reject duplicate keys, which parsers handle differently, and integers beyond float64.

    ``pairs`` is the number of pairs in the text. Raises BodyInvalid.
    """
    if _pairs_of(document) != pairs:
        raise BodyInvalid("duplicate_key", "An object has a duplicate key.")


def _pairs_of(value: Any) -> int:
    if isinstance(value, dict):
        inner = value.values()
        if _SCALARS.issuperset(map(type, inner)):
            return len(value)
        return len(value) + sum([_pairs_of(item) for item in inner if type(item) not in _SCALARS])
    if isinstance(value, list):
        return sum([_pairs_of(item) for item in value if type(item) not in _SCALARS])
    if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
        raise BodyInvalid("number_too_large", "A number is beyond float64.")
    return 0


_SCALARS = frozenset({str, float, bool, type(None)})
