"""Which open incident a problem continues, and which incidents merge."""

from types import SimpleNamespace
from uuid import UUID, uuid5

import pytest

from apps.incidents.rca.matching import OpenIncident, match

SPACE = UUID(int=7)
ROUTER, LINK, SITE = (("device", uuid5(SPACE, name)) for name in ("router", "link", "site"))


def alerts(names: str) -> list[UUID]:
    return [uuid5(SPACE, name) for name in names]


def problem(root, names: str):
    """A problem as matching sees it: its root and the alerts of its symptoms, a letter each."""
    return SimpleNamespace(
        root=root, symptoms=[SimpleNamespace(alert_id=pk) for pk in alerts(names)]
    )


def incident(number: int, root, names: str) -> OpenIncident:
    return OpenIncident(uuid5(SPACE, str(number)), number, root, frozenset(alerts(names)))


def numbers(result) -> tuple[dict[int, int], dict[UUID, int], tuple[int, ...]]:
    continued = {index: row.number for index, row in result.continued.items()}
    return continued, {pk: row.number for pk, row in result.merged.items()}, result.new


def test_an_incident_that_shares_no_alert_is_not_continued():
    assert numbers(match([problem(ROUTER, "ab")], [incident(1, ROUTER, "cd")])) == ({}, {}, (0,))


def test_the_incident_that_shares_the_most_alerts_is_continued():
    known = [incident(1, LINK, "a"), incident(2, SITE, "bcd")]

    continued, merged, new = numbers(match([problem(ROUTER, "abcd")], known))

    assert (continued, merged, new) == ({0: 2}, {known[0].id: 2}, ())


def test_the_same_root_wins_over_more_shared_alerts():
    known = [incident(1, ROUTER, "a"), incident(2, SITE, "bcd")]

    continued, merged, _ = numbers(match([problem(ROUTER, "abcd")], known))

    assert (continued, merged) == ({0: 1}, {known[1].id: 1})


def test_the_older_incident_wins_a_tie():
    known = [incident(2, SITE, "b"), incident(1, LINK, "a")]

    continued, merged, _ = numbers(match([problem(ROUTER, "ab")], known))

    assert (continued, merged) == ({0: 1}, {known[0].id: 1})


def test_an_incident_is_continued_by_one_problem_only():
    known = [incident(1, ROUTER, "abc")]

    continued, merged, new = numbers(match([problem(LINK, "a"), problem(SITE, "bc")], known))

    assert (continued, merged, new) == ({1: 1}, {}, (0,))


@pytest.mark.parametrize("is_reversed", [False, True])
def test_an_incident_merges_into_the_one_that_shares_the_most_of_its_alerts(is_reversed):
    """The alerts of the third incident now belong to two problems, which continue the first and the second."""
    known = [incident(1, LINK, "ab"), incident(2, SITE, "fg"), incident(3, ROUTER, "cde")]
    problems = [problem(LINK, "abc"), problem(SITE, "defg")]
    if is_reversed:
        problems.reverse()

    continued, merged, _ = numbers(match(problems, known))

    assert sorted(continued.values()) == [1, 2]
    assert merged == {known[2].id: 2}
