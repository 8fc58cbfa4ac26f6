"""The RouterOS API on the wire: length-prefixed words, an empty word ends the sentence."""

from collections.abc import Iterable
from dataclasses import dataclass

# A reserved first byte (0xF8 and above) announces something no released RouterOS sends or takes.
FIRST_CONTROL_BYTE = 0xF8
# First byte below the bound: that many bytes follow it, and this mask cuts the length bits out of it.
FORMS = ((0x80, 0, 0x7F), (0xC0, 1, 0x3F), (0xE0, 2, 0x1F), (0xF0, 3, 0x0F), (0xF8, 4, 0x00))


class Malformed(ValueError):
    """These bytes are not of the protocol, or more than anybody sane sends."""


@dataclass(frozen=True)
class Limits:
    """How much one peer may make us hold."""

    word_bytes: int
    sentence_words: int
    sentence_bytes: int


BEFORE_LOGIN = Limits(word_bytes=4096, sentence_words=32, sentence_bytes=16_384)
AFTER_LOGIN = Limits(word_bytes=1 << 20, sentence_words=1024, sentence_bytes=4 << 20)


def encode_length(length: int) -> bytes:
    """The shortest of the five forms that holds the length."""
    for prefix, extra in ((0x00, 0), (0x80, 1), (0xC0, 2), (0xE0, 3), (0xF0, 4)):
        bits = 7 * (extra + 1) if extra < 4 else 32  # noqa: PLR2004  # the widest form spends a byte
        if length < 1 << bits:
            marked = length | prefix << 8 * extra
            return marked.to_bytes(extra + 1)
    raise Malformed("a word of this length cannot be sent")


def encode_word(word: bytes) -> bytes:
    return encode_length(len(word)) + word


def encode_sentence(words: Iterable[str]) -> bytes:
    """RouterOS gives no charset; like WinBox on a modern desktop, we speak UTF-8."""
    body = b"".join(encode_word(word.encode("utf-8", "surrogateescape")) for word in words)
    return body + b"\x00"


class Decoder:
    """Takes bytes as they come and gives whole sentences.

    A word's length is judged before its bytes arrive: a peer that announces a gigabyte is told at once,
    not after we kept half of it.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._words: list[str] = []
        self._sentence_bytes = 0

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_sentence(self) -> list[str] | None:
        """The next sentence that is complete, or None. Raises Malformed."""
        while (word := self._next_word()) is not None:
            if word:
                self._keep(word)
            elif self._words:  # an empty sentence is no sentence
                sentence, self._words, self._sentence_bytes = self._words, [], 0
                return sentence
        return None

    def _keep(self, word: bytes) -> None:
        self._sentence_bytes += len(word)
        if len(self._words) >= self.limits.sentence_words:
            raise Malformed("too many words in a sentence")
        if self._sentence_bytes > self.limits.sentence_bytes:
            raise Malformed("the sentence is too long")
        self._words.append(word.decode("utf-8", "surrogateescape"))

    def _next_word(self) -> bytes | None:
        header = self._length()
        if header is None:
            return None
        start, length = header
        if length > self.limits.word_bytes:
            raise Malformed("the word is too long")
        if len(self._buffer) < start + length:
            return None
        word = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return word

    def _length(self) -> tuple[int, int] | None:
        """Where the word begins and how long it is, once that can be told."""
        if not self._buffer:
            return None
        first = self._buffer[0]
        if first >= FIRST_CONTROL_BYTE:
            raise Malformed("a reserved control byte")
        extra, mask = next((extra, mask) for bound, extra, mask in FORMS if first < bound)
        if len(self._buffer) <= extra:
            return None
        rest = int.from_bytes(self._buffer[1 : 1 + extra])
        return 1 + extra, (first & mask) << 8 * extra | rest
