"""The codec: valid sentences survive encoding and decoding, invalid data is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.routeros.protocol import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    Decoder,
    Limits,
    ProtocolError,
    encode_length,
    encode_sentence,
)

words = st.text(min_size=1, max_size=300)
sentences = st.lists(words, min_size=1, max_size=8)


def decode(data: bytes, limits: Limits = AFTER_LOGIN) -> list[list[str]]:
    decoder = Decoder(limits)
    decoder.feed(data)
    return list(iter(decoder.next_sentence, None))


@pytest.mark.parametrize(
    ("length", "encoded"),
    [
        (0, "00"),
        (0x7F, "7f"),
        (0x80, "8080"),
        (0x100, "8100"),
        (0x3FFF, "bfff"),
        (0x4000, "c04000"),
        (0x1FFFFF, "dfffff"),
        (0x200000, "e0200000"),
        (0xFFFFFFF, "efffffff"),
        (0x10000000, "f010000000"),
        (0xFFFFFFFF, "f0ffffffff"),
    ],
)
def test_a_length_takes_the_shortest_form(length, encoded):
    assert encode_length(length).hex() == encoded
    decoder = Decoder(Limits(word_bytes=2**33, sentence_words=1, sentence_bytes=1))
    decoder.feed(bytes.fromhex(encoded))
    assert decoder._length() == (len(encoded) // 2, length)


def test_a_longer_word_cannot_be_encoded():
    with pytest.raises(ProtocolError):
        encode_length(1 << 32)


@given(st.lists(sentences, max_size=5))
def test_sentences_survive_encoding_and_decoding(expected):
    assert decode(b"".join(map(encode_sentence, expected))) == expected


@given(st.lists(sentences, min_size=1, max_size=3), st.data())
def test_chunks_of_any_size_are_decoded(expected, data):
    stream = b"".join(map(encode_sentence, expected))
    decoder, received = Decoder(AFTER_LOGIN), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        decoder.feed(stream[:size])
        stream = stream[size:]
        received += iter(decoder.next_sentence, None)
    assert received == expected


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_refused_or_incomplete(data):
    with suppress(ProtocolError):
        assert all(decode(data, BEFORE_LOGIN))


def test_bytes_that_are_not_utf8_survive():
    raw = b"=name=Z\xfcrich"
    (sentence,) = decode(bytes([len(raw)]) + raw + b"\x00")
    assert encode_sentence(sentence) == bytes([len(raw)]) + raw + b"\x00"


def test_empty_sentences_are_ignored():
    assert decode(b"\x00\x00" + encode_sentence(["/quit"]) + b"\x00") == [["/quit"]]


@pytest.mark.parametrize("first", [0xF8, 0xFB, 0xFF])
def test_a_control_byte_is_refused(first):
    with pytest.raises(ProtocolError, match="control byte"):
        decode(bytes([first]))


@pytest.mark.parametrize("length", [AFTER_LOGIN.word_bytes + 1, 0x10000000, 0xFFFFFFFF])
def test_an_oversized_word_is_refused_before_its_bytes_arrive(length):
    with pytest.raises(ProtocolError, match="word is too long"):
        decode(encode_length(length))


def test_a_sentence_has_limits():
    with pytest.raises(ProtocolError, match="too many words"):
        decode(b"\x01x" * (BEFORE_LOGIN.sentence_words + 1), BEFORE_LOGIN)
    with pytest.raises(ProtocolError, match="sentence is too long"):
        decode((encode_length(4000) + b"x" * 4000) * 5, BEFORE_LOGIN)
