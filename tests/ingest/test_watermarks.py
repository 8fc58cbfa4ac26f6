"""The watermark against a set that remembers everything."""

from hypothesis import given
from hypothesis import strategies as st

from apps.ingest.watermarks import MAX_JUMP, WINDOW, SequenceStatus, Watermark

sequences = st.integers(1, 60)
steps = st.one_of(
    st.tuples(st.just("take"), sequences, sequences),
    st.tuples(st.just("skip"), sequences, sequences),
)


@given(st.lists(steps, max_size=80))
def test_classifies_like_a_set(moves):
    watermark, accepted = Watermark(), set()
    for move, first, other in moves:
        if move == "take":
            assert (watermark.classify(first) is SequenceStatus.DUPLICATE) == (first in accepted)
            watermark = watermark.accept(first)
            accepted.add(first)
        else:
            low, high = sorted((first, other))
            watermark = watermark.skip(low, high)
            accepted |= set(range(low, high + 1))
            if low <= watermark.high:
                accepted |= set(range(1, watermark.high + 1))
        assert all(
            (watermark.classify(n) is SequenceStatus.DUPLICATE) == (n in accepted)
            for n in range(1, 62)
        )


@given(st.permutations(range(1, 40)))
def test_ends_contiguous_in_any_order(order):
    watermark = Watermark()
    for sequence in order:
        watermark = watermark.accept(sequence)

    assert watermark == Watermark(39, frozenset())


@given(st.lists(st.one_of(st.integers(1, 6000), st.integers(1, 40)), max_size=60))
def test_accepts_none_twice_and_counts_skipped_ones(numbers):
    watermark, accepted = Watermark(), set()
    for sequence in numbers:
        if watermark.classify(sequence) is SequenceStatus.NEW:
            assert sequence not in accepted
            watermark = watermark.accept(sequence)
            accepted.add(sequence)
        assert watermark.classify(sequence) is SequenceStatus.DUPLICATE
        assert all(watermark.classify(n) is SequenceStatus.DUPLICATE for n in accepted)
        assert len(watermark.ahead) < WINDOW

    assert watermark.skipped == watermark.high - sum(n <= watermark.high for n in accepted)


def test_the_window_moves_only_as_far_as_needed():
    watermark = Watermark().accept(WINDOW + 10)

    assert (watermark.high, watermark.skipped) == (10, 10)
    assert watermark.classify(11) is SequenceStatus.NEW


def test_a_sequence_beyond_the_maximum_jump_is_too_far():
    assert Watermark(10).classify(10 + MAX_JUMP) is SequenceStatus.NEW
    assert Watermark(10).classify(11 + MAX_JUMP) is SequenceStatus.TOO_FAR


def test_memory_is_bounded_by_the_window():
    assert len(Watermark(10).skip(500, 10**12).ahead) <= WINDOW
