"""The watermark against a set that remembers everything."""

from hypothesis import given
from hypothesis import strategies as st

from apps.ingest.marks import MAX_JUMP, WINDOW, Mark, Verdict

sequences = st.integers(1, 60)
steps = st.one_of(
    st.tuples(st.just("take"), sequences, sequences),
    st.tuples(st.just("give_up"), sequences, sequences),
)


@given(st.lists(steps, max_size=80))
def test_judges_as_a_set_would(moves):
    mark, seen = Mark(), set()
    for move, first, other in moves:
        if move == "take":
            assert (mark.judge(first) is Verdict.DUPLICATE) == (first in seen)
            mark = mark.take(first)
            seen.add(first)
        else:
            low, high = sorted((first, other))
            mark = mark.give_up(low, high)
            seen |= set(range(low, high + 1))
            if low <= mark.high:
                seen |= set(range(1, mark.high + 1))
        assert all((mark.judge(n) is Verdict.DUPLICATE) == (n in seen) for n in range(1, 62))


@given(st.permutations(range(1, 40)))
def test_ends_contiguous_whatever_the_order(order):
    mark = Mark()
    for sequence in order:
        mark = mark.take(sequence)

    assert mark == Mark(39, frozenset())


@given(st.lists(st.one_of(st.integers(1, 6000), st.integers(1, 40)), max_size=60))
def test_never_takes_one_in_twice_and_says_what_it_slid_past(numbers):
    mark, taken = Mark(), set()
    for sequence in numbers:
        if mark.judge(sequence) is Verdict.NEW:
            assert sequence not in taken
            mark = mark.take(sequence)
            taken.add(sequence)
        assert mark.judge(sequence) is Verdict.DUPLICATE
        assert all(mark.judge(n) is Verdict.DUPLICATE for n in taken)
        assert len(mark.ahead) < WINDOW

    assert mark.skipped == mark.high - sum(n <= mark.high for n in taken)


def test_the_window_slides_by_what_it_must_and_no_further():
    mark = Mark().take(WINDOW + 10)

    assert (mark.high, mark.skipped) == (10, 10)
    assert mark.judge(11) is Verdict.NEW


def test_a_number_that_no_agent_reaches_is_too_far():
    assert Mark(10).judge(10 + MAX_JUMP) is Verdict.NEW
    assert Mark(10).judge(11 + MAX_JUMP) is Verdict.TOO_FAR


def test_memory_is_bounded_by_the_window():
    assert len(Mark(10).give_up(500, 10**12).ahead) <= WINDOW
