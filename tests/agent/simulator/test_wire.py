"""The codec: everything sane comes back as it went, nothing insane is kept."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.routeros.wire import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    Decoder,
    Limits,
    Malformed,
    encode_length,
    encode_sentence,
)

words = st.text(min_size=1, max_size=300)
sentences = st.lists(words, min_size=1, max_size=8)


def decoded(data: bytes, limits: Limits = AFTER_LOGIN) -> list[list[str]]:
    decoder = Decoder(limits)
    decoder.feed(data)
    return list(iter(decoder.next_sentence, None))


@pytest.mark.parametrize(
    ("length", "wire"),
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
def test_a_length_takes_the_shortest_form(length, wire):
    assert encode_length(length).hex() == wire
    decoder = Decoder(Limits(word_bytes=2**33, sentence_words=1, sentence_bytes=1))
    decoder.feed(bytes.fromhex(wire))
    assert decoder._length() == (len(wire) // 2, length)


def test_nothing_longer_can_be_sent():
    with pytest.raises(Malformed):
        encode_length(1 << 32)


@given(st.lists(sentences, max_size=5))
def test_sentences_come_back_as_they_went(wanted):
    assert decoded(b"".join(map(encode_sentence, wanted))) == wanted


@given(st.lists(sentences, min_size=1, max_size=3), st.data())
def test_however_the_bytes_are_cut(wanted, data):
    stream = b"".join(map(encode_sentence, wanted))
    decoder, found = Decoder(AFTER_LOGIN), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        decoder.feed(stream[:size])
        stream = stream[size:]
        found += iter(decoder.next_sentence, None)
    assert found == wanted


@given(st.binary(max_size=2000))
def test_rubbish_is_refused_or_waited_for_but_never_breaks_the_decoder(data):
    with suppress(Malformed):
        assert all(decoded(data, BEFORE_LOGIN))


def test_bytes_of_no_charset_survive():
    raw = b"=name=Z\xfcrich"
    (sentence,) = decoded(bytes([len(raw)]) + raw + b"\x00")
    assert encode_sentence(sentence) == bytes([len(raw)]) + raw + b"\x00"


def test_empty_sentences_are_ignored():
    assert decoded(b"\x00\x00" + encode_sentence(["/quit"]) + b"\x00") == [["/quit"]]


@pytest.mark.parametrize("first", [0xF8, 0xFB, 0xFF])
def test_a_control_byte_is_refused(first):
    with pytest.raises(Malformed, match="control byte"):
        decoded(bytes([first]))


@pytest.mark.parametrize("length", [AFTER_LOGIN.word_bytes + 1, 0x10000000, 0xFFFFFFFF])
def test_an_oversize_word_is_refused_before_its_bytes_come(length):
    with pytest.raises(Malformed, match="word is too long"):
        decoded(encode_length(length))


def test_a_sentence_has_an_end():
    with pytest.raises(Malformed, match="too many words"):
        decoded(b"\x01x" * (BEFORE_LOGIN.sentence_words + 1), BEFORE_LOGIN)
    with pytest.raises(Malformed, match="sentence is too long"):
        decoded((encode_length(4000) + b"x" * 4000) * 5, BEFORE_LOGIN)
