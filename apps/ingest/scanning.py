"""What a body's brackets and quotes say before a parser sees it: linear in its size, whatever it holds."""

from typing import Any

from agent.protocol.batch import MAX_DEPTH
from apps.ingest.errors import BodyInvalid

_MARKS = b'"[]{}:'
_NOT_MARKS = bytes(set(range(256)) - set(_MARKS))
_ONE_BRACKET = bytes.maketrans(b"{}", b"[]")
_CHUNK = 2**20
_LARGEST = 2**1024  # an integer beyond this has no float64


def count_pairs(body: bytes) -> int:
    """How many ``key: value`` pairs the text has. Raises BodyInvalid when it is nested deeper than 16."""
    outside = _outside_strings(body)
    pairs = outside.count(b":")
    brackets = outside.translate(_ONE_BRACKET, b":")
    # Each pass takes the innermost level away, so an honest body is gone after 16.
    for _ in range(MAX_DEPTH):
        former, brackets = brackets, brackets.replace(b"[]", b"")
        if len(brackets) == len(former):
            break
    _refuse_rest(brackets)
    return pairs


def _outside_strings(body: bytes) -> bytes:
    """The brackets and colons that are not in a string."""
    if b"\\" in body:
        # A run of backslashes pairs off from its left; what is left over escapes the quote behind it.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side change nothing for what follows them; honest bodies have hardly any others.
    marks = body.translate(None, _NOT_MARKS).replace(b'""', b"")
    if b'"' not in marks:
        return marks
    outside, is_inside = [], 0
    for start in range(0, len(marks), _CHUNK):  # in chunks: a list of all parts could be huge
        parts = marks[start : start + _CHUNK].split(b'"')
        outside.append(b"".join(parts[is_inside::2]))
        is_inside ^= (len(parts) - 1) & 1
    return b"".join(outside)


def _refuse_rest(brackets: bytes) -> None:
    depth = 0
    for (
        bracket
    ) in brackets:  # ends within 17 steps down, or at the first bracket that closes nothing
        depth += 1 if bracket == ord("[") else -1
        if depth > MAX_DEPTH:
            raise BodyInvalid("too_deep", f"Nested deeper than {MAX_DEPTH}.")
        if depth < 0:
            return


def check_document(document: Any, pairs: int) -> None:
    """Refuse a repeated key, which two parsers could read differently, and integers past float64.

    ``pairs`` is the number of pairs in the text. Raises BodyInvalid.
    """
    if _pairs_of(document) != pairs:
        raise BodyInvalid("duplicate_key", "An object names a key twice.")


def _pairs_of(value: Any) -> int:
    if isinstance(value, dict):
        inner = value.values()
        if _PLAIN.issuperset(map(type, inner)):
            return len(value)
        return len(value) + sum([_pairs_of(item) for item in inner if type(item) not in _PLAIN])
    if isinstance(value, list):
        return sum([_pairs_of(item) for item in value if type(item) not in _PLAIN])
    if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
        raise BodyInvalid("number_too_large", "A number is past float64.")
    return 0


_PLAIN = frozenset({str, float, bool, type(None)})
