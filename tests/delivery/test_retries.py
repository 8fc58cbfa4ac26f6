import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery.retries import DELAYS_SECONDS, MAX_ATTEMPTS, delay_after

CONTRACT = [0, 5, 30, 120, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 24 * 3600]


def test_the_contracts_attempts_take_about_70_hours():
    assert list(DELAYS_SECONDS) == CONTRACT
    assert 69 < sum(DELAYS_SECONDS) / 3600 < 71


@pytest.mark.parametrize("failures", range(1, MAX_ATTEMPTS))
def test_each_delay_varies_by_a_fifth_and_is_spread(failures):
    rng = random.Random(7)
    base_delay = CONTRACT[failures]
    delays = [delay_after(failures, rng=rng, retry_after=None).total_seconds() for _ in range(1000)]

    assert all(0.8 * base_delay <= delay <= 1.2 * base_delay for delay in delays)
    assert min(delays) < 0.83 * base_delay
    assert max(delays) > 1.17 * base_delay
    # No thundering herd: of 1000 delays, no hundredth of the window has four times its share.
    buckets = [int((delay - 0.8 * base_delay) / (0.4 * base_delay) * 100) for delay in delays]
    assert max(buckets.count(bucket) for bucket in set(buckets)) < 40


@pytest.mark.parametrize("failures", [12, 13, 100])
def test_there_is_no_attempt_after_the_twelfth(failures):
    assert delay_after(failures, rng=random.Random(1), retry_after=None) is None


@given(
    failures=st.integers(1, 11),
    retry_after=st.timedeltas(timedelta(0), timedelta(days=400)),
    seed=st.integers(),
)
def test_retry_after_is_respected_between_one_and_two_delays(failures, retry_after, seed):
    without_header = delay_after(failures, rng=random.Random(seed), retry_after=None)
    with_header = delay_after(failures, rng=random.Random(seed), retry_after=retry_after)

    assert without_header <= with_header <= 2 * without_header
    if without_header <= retry_after <= 2 * without_header:
        assert with_header == retry_after
