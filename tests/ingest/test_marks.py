"""The watermark against a set that remembers everything."""

from hypothesis import given
from hypothesis import strategies as st

from apps.ingest.marks import WINDOW, Mark, Verdict

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


def test_memory_is_bounded_by_the_window():
    mark = Mark(10)

    assert mark.judge(10 + WINDOW) is Verdict.NEW
    assert mark.judge(11 + WINDOW) is Verdict.TOO_FAR
    assert len(mark.give_up(500, 10**12).ahead) <= WINDOW
