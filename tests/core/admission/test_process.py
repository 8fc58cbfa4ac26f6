"""How the threads of one process are shared between tenants."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.admission.process import ThreadShares

TENANTS = [UUID(int=number) for number in range(12)]


def acquired(shares: ThreadShares, tenant_id: UUID) -> int:
    """How many more this tenant gets when it asks for all."""
    number = 0
    while shares.acquire(tenant_id):
        number += 1
    return number


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 1), (4, 2), (8, 4), (9, 5)])
def test_one_tenant_gets_half(threads, most):
    assert acquired(ThreadShares(threads), uuid4()) == most


def test_two_tenants_leave_room_for_a_third():
    shares = ThreadShares(8)

    assert acquired(shares, TENANTS[0]) == 4
    assert acquired(shares, TENANTS[1]) == 2
    assert acquired(shares, TENANTS[2]) == 1


def test_a_tenant_that_has_none_is_never_refused():
    shares = ThreadShares(2)

    assert all(shares.acquire(tenant) for tenant in TENANTS)


def test_what_is_released_can_be_taken_again():
    shares = ThreadShares(8)
    acquired(shares, TENANTS[0])
    shares.release(TENANTS[0])

    assert acquired(shares, TENANTS[0]) == 1


def test_expensive_ones_have_a_limit_of_their_own_per_tenant():
    shares = ThreadShares(8)

    answers = [shares.acquire_expensive(TENANTS[0], 2) for _ in range(3)]
    assert answers == [True, True, False]
    assert shares.acquire_expensive(TENANTS[1], 2)

    shares.release_expensive(TENANTS[0])
    assert shares.acquire_expensive(TENANTS[0], 2)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(TENANTS[:4])), max_size=60))
def test_a_tenant_with_more_than_one_never_holds_more_than_half(steps):
    shares, leases = ThreadShares(8), dict.fromkeys(TENANTS, 0)
    for is_request, tenant in steps:
        if is_request:
            leases[tenant] += shares.acquire(tenant)
        elif leases[tenant]:
            shares.release(tenant)
            leases[tenant] -= 1
        assert max(leases.values()) <= 4
        assert sum(leases.values()) < 8 or min(count for count in leases.values() if count) == 1
