"""Encoding of the RouterOS API: length-prefixed words; an empty word ends the sentence."""

from collections.abc import Iterable
from dataclasses import dataclass

# A reserved first byte (0xF8 and above) starts a control message that no released RouterOS supports.
FIRST_CONTROL_BYTE = 0xF8
# Upper bound of the first byte, number of bytes that follow it, mask of its length bits.
FORMS = ((0x80, 0, 0x7F), (0xC0, 1, 0x3F), (0xE0, 2, 0x1F), (0xF0, 3, 0x0F), (0xF8, 4, 0x00))


class ProtocolError(ValueError):
    """The data is not of the protocol, or exceeds the limits."""


@dataclass(frozen=True)
class Limits:
    """Limits on the memory that one client can use."""

    word_bytes: int
    sentence_words: int
    sentence_bytes: int


BEFORE_LOGIN = Limits(word_bytes=4096, sentence_words=32, sentence_bytes=16_384)
AFTER_LOGIN = Limits(word_bytes=1 << 20, sentence_words=1024, sentence_bytes=4 << 20)


def encode_length(length: int) -> bytes:
    """The shortest of the five forms that holds the length."""
    for prefix, extra in ((0x00, 0), (0x80, 1), (0xC0, 2), (0xE0, 3), (0xF0, 4)):
        bits = 7 * (extra + 1) if extra < 4 else 32  # noqa: PLR2004  # the widest form has a whole byte for its prefix
        if length < 1 << bits:
            prefixed = length | prefix << 8 * extra
            return prefixed.to_bytes(extra + 1)
    raise ProtocolError("a word of this length cannot be sent")


def encode_word(word: bytes) -> bytes:
    return encode_length(len(word)) + word


def encode_sentence(words: Iterable[str]) -> bytes:
    """RouterOS has no charset; UTF-8 is used, like WinBox on a modern desktop."""
    body = b"".join(encode_word(word.encode("utf-8", "surrogateescape")) for word in words)
    return body + b"\x00"


class Decoder:
    """Assembles sentences from chunks of bytes.

    The length of a word is checked before its bytes arrive, so that an oversized word is refused without buffering it.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._words: list[str] = []
        self._sentence_bytes = 0

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_sentence(self) -> list[str] | None:
        """The next complete sentence, or None. Raises ProtocolError."""
        while (word := self._next_word()) is not None:
            if word:
                self._append_word(word)
            elif self._words:  # empty sentences are ignored
                sentence, self._words, self._sentence_bytes = self._words, [], 0
                return sentence
        return None

    def _append_word(self, word: bytes) -> None:
        self._sentence_bytes += len(word)
        if len(self._words) >= self.limits.sentence_words:
            raise ProtocolError("too many words in a sentence")
        if self._sentence_bytes > self.limits.sentence_bytes:
            raise ProtocolError("the sentence is too long")
        self._words.append(word.decode("utf-8", "surrogateescape"))

    def _next_word(self) -> bytes | None:
        header = self._length()
        if header is None:
            return None
        start, length = header
        if length > self.limits.word_bytes:
            raise ProtocolError("the word is too long")
        if len(self._buffer) < start + length:
            return None
        word = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return word

    def _length(self) -> tuple[int, int] | None:
        """Offset and length of the next word, or None if the length is incomplete."""
        if not self._buffer:
            return None
        first = self._buffer[0]
        if first >= FIRST_CONTROL_BYTE:
            raise ProtocolError("a reserved control byte")
        extra, mask = next((extra, mask) for bound, extra, mask in FORMS if first < bound)
        if len(self._buffer) <= extra:
            return None
        rest = int.from_bytes(self._buffer[1 : 1 + extra])
        return 1 + extra, (first & mask) << 8 * extra | rest
